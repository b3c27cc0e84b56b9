"""A plan of reminders as it is used: the terms of each product, the stages of a bill, what is left out and why.

`reminder_policy` reads one from its file.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

from pipeline.core.account_event import Product
from pipeline.core.account_facts import Terms
from pipeline.core.conversation import Channel
from pipeline.core.expressions import Kind
from pipeline.core.ladders import Plans
from pipeline.core.notices import NoticeRules
from pipeline.core.rules import Rule
from pipeline.core.tag_use import tag_use
from pipeline.core.texts_rules import RULES

PRODUCTS: Final[tuple[Product, ...]] = get_args(Product)
ReminderClass = Literal["reminder", "collection"]
OnHoliday = Literal["keep", "before", "after"]
ACCOUNT_SCHEMA: Final[Mapping[str, Kind]] = MappingProxyType({
    "product": "text", "currency": "text", "stage": "text", "promise": "text",
    "days_past_due": "number", "owed": "number", "minimum": "number", "balance": "number", "pending": "number",
    "autopay": "boolean", "autopay_failed": "boolean", "disputed": "boolean",
})  # fmt: skip
"""What conditions may speak of: an account as it stands at that moment. Amounts in minor units."""


class Stage(NamedTuple):
    """One thing to tell of a bill. ``day``: days from the bill's due date, by the bank's clock, ``at_minutes`` after
    midnight; worth telling until the end of ``until_day``. ``channels``: of the class's ladder only these, all if empty.
    ``when``: of which accounts; None: of all."""

    name: str
    products: tuple[Product, ...]
    day: int
    until_day: int
    at_minutes: int
    class_: ReminderClass
    template: str
    channels: tuple[Channel, ...]
    on_holiday: OnHoliday
    when: Rule | None


class Skip(NamedTuple):
    """Where ``when`` holds at a stage's moment, the stage is left out, for this ``reason``. ``stages``: only these, all
    if empty."""

    reason: str
    when: Rule
    stages: frozenset[str]


class Thanks(NamedTuple):
    """Whether a payment is thanked for that followed something told, and on which channels (all if empty)."""

    send: bool = True
    channels: tuple[Channel, ...] = ()


class Promises(NamedTuple):
    """A promise without a day is for ``days`` from now, none for more than ``max_days``; ``remind``: a broken one is
    followed by what the bill's present stage tells."""

    days: int = 3
    max_days: int = 14
    remind: bool = True


class SpreadPlan(NamedTuple):
    """A day's load: between ``start`` and ``end`` (minutes after midnight, the clock of `ReminderPolicy.zone`),
    ``per_hour`` contacts that begin on each channel; one that is not named here carries any number."""

    start: int = 9 * 60
    end: int = 20 * 60
    per_hour: Mapping[Channel, int] = MappingProxyType({})


class ReminderPolicy(NamedTuple):
    """``version``: name and beginning of the file's SHA-256. ``zone``, ``calendar``: the bank's own clock and holidays.
    ``stages``: in the order of their days."""

    name: str
    version: str
    zone: str
    calendar: str | None
    products: Mapping[str, Terms]
    stages: tuple[Stage, ...]
    skips: tuple[Skip, ...]
    thanks: Thanks
    promises: Promises
    spread: SpreadPlan
    notices: NoticeRules

    def terms(self, product: str) -> Terms:
        """Raises KeyError for a product the plan has no terms of."""
        return self.products[product]

    def of_product(self, product: str) -> tuple[Stage, ...]:
        """Its stages, in the order of their days."""
        return tuple(stage for stage in self.stages if product in stage.products)

    @property
    def conditions(self) -> tuple[Rule, ...]:
        """Every condition of the plan."""
        return (*(each.when for each in self.stages if each.when is not None), *(each.when for each in self.skips))

    def uncarried(self, plans: Plans) -> list[str]:
        """The stages that nobody would be told by the ladders of ``plans``, a sentence each."""
        return [
            f"stage {stage.name}: the contact profile's ladder of class {stage.class_} has "
            + (f"none of {', '.join(stage.channels)}" if stage.channels else f"no channel with a text {stage.template}")
            for stage in self.stages
            if not any(
                (stage.class_, channel, stage.template) in RULES
                for channel in plans.channels(stage.class_, stage.channels)
            )
        ]

    @property
    def tags(self) -> frozenset[str]:
        """The tags that conditions ask for."""
        asked = frozenset[str]().union(*(rule.columns for rule in self.conditions))
        return frozenset(use.name for use in map(tag_use, asked) if use is not None)
