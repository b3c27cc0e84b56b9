"""The verification table as a picture: what the manuals show is what the machine does."""

from pipeline.core.conversation import OPEN
from pipeline.core.verification_table import TRANSITIONS


def mermaid() -> str:
    """A Mermaid state diagram of every transition that leads to another state, labelled with the table's own symbols; an
    ended conversation's last arrow leads out."""
    lines = ["stateDiagram-v2", "  [*] --> planned"]
    for state, rows in TRANSITIONS.items():
        targets: dict[str, list[str]] = {}
        for symbol, (target, _) in rows.items():
            if target != state:
                targets.setdefault(target, []).append(symbol)
        lines += [f"  {state} --> {target}: {', '.join(symbols)}" for target, symbols in targets.items()]
    lines += [f"  {state} --> [*]" for state in TRANSITIONS if state not in OPEN]
    return "\n".join(lines)
