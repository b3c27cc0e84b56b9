"""The plan a conversation follows: a ladder of channels, and how long and how often."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from pipeline.core.contact_policy import ContactClass
from pipeline.core.conversation import Channel


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step of the ladder of ``classes``. ``number``: the kind of number to use, if only one (mobile, home, work);
    ``tries``: attempts
    here for one question; ``wait_s``: how long the answer to a message may take before the next attempt (a call has its
    own times); ``learn``: it may change places with the other rungs so marked."""

    channel: Channel
    number: str = ""
    tries: int = 1
    wait_s: float = 0.0
    classes: tuple[ContactClass, ...] = ("fraud",)
    learn: bool = False

    @property
    def way(self) -> str:
        """The rung as the gates know it: ``voice``, ``voice:home``."""
        return f"{self.channel}:{self.number}" if self.number else self.channel


class OnSilence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a conversation comes to that nobody answered, if no alert's score reaches ``below_score`` and their amounts
    together stay below ``below_exposure`` (minor units of the bank's currency; None: any): the card is released, the hold
    stays and that is all, or people decide."""

    do: Literal["release", "keep", "agent"]
    below_score: float | None = None
    below_exposure: float | None = None


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long and how often; read from ``config/contact/<profile>.toml``. ``_s`` are seconds."""

    ring_s: float
    """How long the provider lets it ring and waits for a key."""
    answer_grace_s: float
    """After the ring, how long the call-back may take before the provider is asked."""
    ladder: tuple[Rung, ...]
    """What is tried, in order, before people take over."""
    retry_s: float
    """Between two attempts on one rung."""
    attempts: int
    """The most attempts in one conversation, new questions for alerts that joined included."""
    later_s: float
    """How long who says "later" is left alone."""
    lease_s: float
    """How long a worker may take for a request before another asks the provider what became of it."""
    asks: int
    """How often the provider is asked about one call before people take over."""
    ask_again_s: float
    """Between two questions; doubled each time."""
    hand_over_s: float
    """How long people have before the conversation expires. The hold stays."""
    patience_s: float
    """How long a question may wait for its hour, before people take over."""
    acknowledge_s: float
    """How long the switch has to acknowledge a release; 0: it acknowledges nothing, and is not waited for."""
    exempt_s: float
    """How long the payment that a YES confirmed may be repeated without a new question."""
    keep_s: float
    """How long an ended conversation is remembered, for late call-backs and repeated alerts."""
    dossier_s: float = 63_072_000.0
    """How long, after its last entry, what was done and why is kept for complaints and regulators."""
    call_back_s: float = 14_400.0
    """How soon people call back who complained; counted from the next opening where it would end outside the hours."""
    on_silence: tuple[OnSilence, ...] = ()
    """The first that holds; people, where none does."""

    def climbed(self, order: Sequence[int] = ()) -> tuple[Rung, ...]:
        """The rungs in the order of a conversation. Of an order made for another ladder, rungs that are gone are left
        out and new ones come last."""
        if not order:
            return self.ladder
        known = [number for number in order if number < len(self.ladder)]
        new = [number for number in range(len(self.ladder)) if number not in known]
        return tuple(self.ladder[number] for number in (*known, *new))

    def rung(self, place: int, order: Sequence[int] = ()) -> Rung:
        """Where a conversation of this order stands. One that began under a longer ladder stands on the last."""
        return self.climbed(order)[min(place, len(self.ladder) - 1)]
