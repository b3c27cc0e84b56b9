"""A table of conversations as a picture: what the manuals show is what the machine does."""

from collections.abc import Mapping
from typing import TypeVar

from pipeline.core.conversation import OPEN, State
from pipeline.core.verification_table import TRANSITIONS

S = TypeVar("S", bound=str)


def mermaid(table: Mapping[State, Mapping[S, tuple[State, object]]] = TRANSITIONS) -> str:  # type: ignore[assignment] # S is then Symbol
    """A Mermaid state diagram of every transition that leads to another state, labelled with the table's own symbols; an
    ended conversation's last arrow leads out."""
    lines = ["stateDiagram-v2", "  [*] --> planned"]
    for state, rows in table.items():
        targets: dict[str, list[str]] = {}
        for symbol, (target, _) in rows.items():
            if target != state:
                targets.setdefault(target, []).append(symbol)
        lines += [f"  {state} --> {target}: {', '.join(symbols)}" for target, symbols in targets.items()]
    lines += [f"  {state} --> [*]" for state in table if state not in OPEN]
    return "\n".join(lines)
