"""The scorer's settings."""

from pathlib import Path

from pydantic import Field

from pipeline.settings import Settings


class ScorerSettings(Settings):
    """``CARDWATCH_…``; paths are below CONFIG_DIR when relative."""

    scorer_policy: Path = Path("policies/default.toml")
    scorer_checkpoint_ms: int = Field(default=250, ge=10, le=10_000)
    scorer_checkpoint_rows: int = Field(default=1_000, ge=1, le=100_000)
    scorer_dormant_days: int = Field(default=400, ge=0, le=36_500)
    """Rows of cards not seen for so long leave memory until the card's next transaction. 0: none does."""
    scorer_model_wait_s: float = Field(default=10.0, ge=0)
    """How long to wait for the newest model on ``control`` before the built-in one serves."""
