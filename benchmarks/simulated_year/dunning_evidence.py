"""What is left of a year of reminders, for the judge and the figures: besides what `evidence` has, what was said of
accounts and when the bank had taken it in, what was said to customers, and the order in which the store took its steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from simulated_year.evidence import Evidence


class Event(NamedTuple):
    """A record of ``accounts`` with its log timestamp; its place in the list is its offset."""

    account: str
    value: Mapping[str, Any]
    said: int


class Spoken(NamedTuple):
    """What a provider was asked to say."""

    at_ms: int
    contact: str
    number: int
    channel: str
    to: str
    text: str


class Away(NamedTuple):
    """Nobody reminded from then until then."""

    from_ms: int
    until_ms: int


@dataclass
class DunningEvidence(Evidence):
    """``events``: by partition; ``taken``: partition → (step, ms, offset behind): up to where the store had taken it in by
    that step; ``claimed``: contact and attempt → (step, ms) of the step that claimed it; ``answered``: record id of an
    answer → the step by which the reminder role had certainly heard of it; ``cures``: (account, ms) of payments customers
    made because of a reminder; ``step``: steps of the store so far."""

    events: tuple[list[Event], list[Event]] = field(default_factory=lambda: ([], []))
    taken: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]] = field(default_factory=lambda: ([], []))
    claimed: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    answered: dict[str, tuple[int, int]] = field(default_factory=dict)
    spoken: list[Spoken] = field(default_factory=list)
    away: list[Away] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    step: int = 0
    stamped_ms: int = 0

    def stamp(self, now_ms: int) -> int:
        """A moment not before ``now_ms``, and after every other."""
        self.stamped_ms = max(now_ms, self.stamped_ms + 1)
        return self.stamped_ms
