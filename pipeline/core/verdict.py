"""What is asked of the gates, and what they answer: plain values."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.core.contact_history import History
from pipeline.core.contact_hours import Place
from pipeline.core.contact_policy import ClassRules
from pipeline.core.records import Customer

Gate = Literal[
    "class", "protections", "stop", "consent", "window", "preferred_hours", "caps", "cool_down", "channel", "expiry"
]  # fmt: skip


class Asked(NamedTuple):
    """``class_``: the contact class; ``event``: what caps count under (alert, statement, request). ``ladder``: channels
    in order of preference; ``voice:home`` means numbers of that kind only. ``expires_ms``: useless from then on."""

    class_: str
    event: str
    ladder: Sequence[str]
    expires_ms: int


class Detail(NamedTuple):
    """What a gate looked at, for words of any language: a code, and by name figures or further codes. No names and
    numbers of people."""

    code: str
    values: Mapping[str, str | int | float]

    def as_json(self) -> dict[str, str | int | float]:
        return {"code": self.code, **self.values}


class Said(NamedTuple):
    """A gate's answer. ``reason`` is one of few words; ``details`` tell what was looked at; ``until_ms``: when this
    gate alone opens."""

    gate: Gate
    answer: Literal["ok", "until", "refused"]
    reason: str
    source: str | None = None
    until_ms: int | None = None
    details: tuple[Detail, ...] = ()


class Go(NamedTuple):
    """Contact now on ``channel`` at ``to``, as ``sender`` (empty: the channel's own)."""

    channel: str
    to: str
    sender: str
    said: tuple[Said, ...]


class Wait(NamedTuple):
    """Ask again at ``until_ms``, the first moment at which all gates open together. ``gate``: the first closed now."""

    until_ms: int
    gate: Gate
    reason: str
    source: str | None
    said: tuple[Said, ...]


class Never(NamedTuple):
    """No contact: ``gate`` refuses it, or opens too late (``reason`` is then "expired by …")."""

    gate: Gate
    reason: str
    source: str | None
    said: tuple[Said, ...]


Verdict = Go | Wait | Never


class Way(NamedTuple):
    """A channel, and an address it leads to."""

    channel: str
    to: str


class Scene(NamedTuple):
    """All that the gates look at but the time. ``numbers``: the histories of the customer's numbers."""

    rules: ClassRules
    asked: Asked
    customer: Customer
    place: Place
    history: History
    numbers: Mapping[str, History]
