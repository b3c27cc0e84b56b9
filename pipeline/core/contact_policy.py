"""The contact policy: which class of contact may go out when, how often, on which channel. Data, read from one TOML file.

Every table is a rule of one kind for the classes it names, and says in ``source`` where the rule comes from: a law or
standard and its article, or the bank's own choice. The gates show that source with each answer they give. What a rule
means is told at its type below. A file that is wrong in any part is refused as a whole.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from pipeline.core.contact_history import Kind
from pipeline.core.contact_hours import Almanac, Hours, clock_minutes

ContactClass = Literal["fraud", "service", "reminder", "collection", "marketing"]
Channel = Literal["voice", "sms", "email", "push", "wechat", "webhook"]
CLASSES: tuple[str, ...] = get_args(ContactClass)
URGENCY: tuple[str, ...] = ("fraud", "collection", "reminder", "service", "marketing")
"""Who goes first when several are due."""
CHANNELS: tuple[str, ...] = get_args(Channel)
Protection = Literal[
    "hardship", "vulnerable", "bankruptcy", "deceased", "represented", "breathing_space", "unknown"
]  # fmt: skip
Silence = Literal["keep", "release", "agent"]
MAX_RULES = 100
"""Tables of one kind in a profile."""
MAX_DAYS = 31
"""The longest a cap or cool-down looks back; histories are kept for as long."""

Text = Annotated[str, Meta(min_length=1, max_length=300)]
Word = Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,63}$")]
Clock = Annotated[str, Meta(pattern=r"^\d\d:\d\d$")]
Days = Annotated[int, Meta(ge=1, le=MAX_DAYS)]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule for the contact classes it names. ``source``: law or standard and article, or whose choice it is."""

    classes: Annotated[tuple[ContactClass, ...], Meta(min_length=1)]
    source: Text


class ClassRule(Rule, frozen=True):
    """``[[class]]``: these classes exist here, on this legal basis. A class no table names is never contacted."""


class WindowRule(Rule, frozen=True):
    """``[[window]]``: contact is open from ``start`` to before ``end``, the customer's own time, on ``days``. Several
    windows of a class and channel add up. ``holidays``: whether it is open on public holidays too."""

    start: Clock
    end: Clock
    channels: tuple[Channel, ...] = CHANNELS  # type: ignore[assignment] # the literals themselves
    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Meta(min_length=1)
    ] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # fmt: skip
    holidays: Literal["open", "closed"] = "open"

    @property
    def hours(self) -> Hours:
        start, end = clock_minutes(self.start), clock_minutes(self.end)
        assert start is not None
        assert end is not None
        names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        return Hours(start, end, frozenset(names.index(day) for day in self.days), self.holidays == "open")


class QuietRule(Rule, frozen=True):
    """``[[quiet]]``: outside its windows a class may still use these channels, the least intrusive first; with
    ``consent``, only if the customer consented to that."""

    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]
    consent: Word | None = None


class PreferredRule(Rule, frozen=True):
    """``[[preferred_hours]]``: these classes keep to the hours the customer wishes for."""


class CapRule(Rule, frozen=True):
    """``[[cap]]``: at most ``limit`` contacts in ``days`` calendar days of the customer, today among them. Counted are
    the entries of all its classes together whose kind is in ``counts`` and channel in ``channels``; with ``per`` =
    event only those of the same event; ``of`` says whether they are the customer's or the number's."""

    limit: Annotated[int, Meta(ge=1, le=100)]
    days: Days
    counts: Annotated[tuple[Literal["dial", "effective", "message"], ...], Meta(min_length=1)]
    per: Literal["event", "period"] = "period"
    of: Literal["customer", "number"] = "customer"
    channels: tuple[Channel, ...] = CHANNELS  # type: ignore[assignment] # the literals themselves

    def binds(self, channel: str) -> bool:
        """Whether a contact on ``channel`` may add to what is counted."""
        return channel in self.channels and any(kind in self.counts for kind in kinds_of(channel))


class CoolDownRule(Rule, frozen=True):
    """``[[cool_down]]``: no contact of these classes for ``hours`` after a conversation of the classes ``after``."""

    hours: Annotated[int, Meta(ge=1, le=MAX_DAYS * 24)]
    after: Annotated[tuple[ContactClass, ...], Meta(min_length=1)]


class ConsentRule(Rule, frozen=True):
    """``[[consent]]``: on these channels the customer's consent named ``needs`` must have been given (``basis`` =
    given) or must not have been refused (not_refused)."""

    needs: Word
    basis: Literal["given", "not_refused"] = "given"
    channels: tuple[Channel, ...] = CHANNELS  # type: ignore[assignment] # the literals themselves


class ProtectionRule(Rule, frozen=True):
    """``[[protection]]``: who stands under one of these is not contacted; under breathing_space until it ends.
    ``unknown`` stands for protections that have no name here."""

    names: Annotated[tuple[Protection, ...], Meta(min_length=1)]


class ChannelRule(Rule, frozen=True):
    """``[[channel]]``: these channels may be used, under this caller id or sender; an empty one leaves the choice to
    the channel's own settings. ``begins``: how a number in the country's series for such calls has to begin."""

    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]
    sender: str = ""
    begins: str = ""


class StopRule(Rule, frozen=True):
    """``[[stop]]``: a STOP given to one of these classes stops the classes ``stops``."""

    stops: Annotated[tuple[ContactClass, ...], Meta(min_length=1)]


class SilenceRule(Rule, frozen=True):
    """``[[silence]]``: what becomes of a hold nobody answers for: keep it, release it, or an agent decides. The first
    rule of a class counts whose bounds hold: ``below_score`` (0–1), ``below_amount`` (minor units of the billing
    currency). The last of a class has no bounds."""

    then: Silence
    below_score: Annotated[float, Meta(gt=0, le=1)] | None = None
    below_amount: Annotated[int, Meta(gt=0)] | None = None


class FreshNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[fresh_number]``: a number the bank has known for less than ``days`` can't release a hold."""

    days: Annotated[int, Meta(ge=1, le=365)]
    source: Text


class ClassRules(NamedTuple):
    """All rules of one class, in the order of the file."""

    basis: ClassRule
    windows: tuple[WindowRule, ...]
    quiet: tuple[QuietRule, ...]
    preferred_hours: tuple[PreferredRule, ...]
    caps: tuple[CapRule, ...]
    cool_downs: tuple[CoolDownRule, ...]
    consents: tuple[ConsentRule, ...]
    protections: tuple[ProtectionRule, ...]
    channels: tuple[ChannelRule, ...]
    silences: tuple[SilenceRule, ...]

    def channel(self, name: str) -> ChannelRule | None:
        return next((rule for rule in self.channels if name in rule.channels), None)

    def windows_of(self, channel: str) -> tuple[WindowRule, ...]:
        return tuple(rule for rule in self.windows if channel in rule.channels)


class ContactPolicy(NamedTuple):
    """``version``: the profile's name and the beginning of the file's SHA-256. ``signed_by``: who in the bank answers
    for it, and when they signed; empty while nobody does. ``zones``: country → the time zones a customer of unknown
    zone may be in; ``calendars``: country → its calendar of public holidays."""

    name: str
    version: str
    signed_by: str
    classes: Mapping[str, ClassRules]
    stops: tuple[StopRule, ...]
    zones: Mapping[str, tuple[str, ...]]
    calendars: Mapping[str, str]
    fresh_number: FreshNumber
    almanac: Almanac

    def stopped_by(self, class_: str, given: str) -> StopRule | None:
        """The rule by which a STOP given to class ``given`` stops ``class_``."""
        return next((rule for rule in self.stops if given in rule.classes and class_ in rule.stops), None)

    def on_silence(self, class_: str, score: float | None, amount: int | None) -> SilenceRule:
        """What is done when nobody answers; a score or amount that is not known is below no bound. Raises KeyError for
        a class that is not contacted here."""
        for rule in self.classes[class_].silences:
            scored = rule.below_score is None or (score is not None and score < rule.below_score)
            exposed = rule.below_amount is None or (amount is not None and amount < rule.below_amount)
            if scored and exposed:
                return rule
        raise AssertionError("the last rule of a class has no bounds")


def kinds_of(channel: str) -> tuple[Kind, ...]:
    """What a contact on a channel may be noted as."""
    return ("dial", "effective") if channel == "voice" else ("message",)
