"""What a customer is to be told without being asked about a payment: matters, and what can happen to them.

A conversation has either alerts, and asks about them, or matters, and tells them. A matter is one request of another
system (topic ``contact-requests``), one statement, or one alert of which the customer is only to know. All times are
unix milliseconds, all values are frozen.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from pipeline.core.records import Bill, ContactStep

About = Literal["request", "statement", "alert"]


DUE: tuple[str, ...] = ("due_soon", "due", "overdue")
"""Templates that remind of a payment, the most urgent last: several payments are told in the words of that."""


def kind_of(template: str) -> str:
    """What is told together with others of its kind."""
    return DUE[0] if template in DUE else template


def most_urgent(templates: Iterable[str]) -> str:
    """The template (of one kind) whose words count."""
    return max(templates, key=lambda each: DUE.index(each) if each in DUE else 0)


class Matter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``about`` and ``id``: its subject on the contacts topic. ``template``: the part of the messages that tells it, with
    ``variables`` (`texts_facts.KINDS`) and the last four digits of ``card``. Told from ``from_ms`` on, useless from
    ``until_ms`` on; ``said_ms``: log timestamp of the record it was last taken from; ``over``: why it need no longer be
    told, empty while it does; ``bill``: what has to be owed when it is told."""

    id: str
    about: About = "request"
    template: str
    variables: dict[str, Any] = {}
    card: str = ""
    from_ms: int = 0
    until_ms: int
    said_ms: int = 0
    over: str = ""
    bill: Bill | None = None

    @property
    def subject(self) -> dict[str, str]:
        """Of its steps on the contacts topic."""
        return {self.about: self.id if self.bill is None else self.bill.statement}


class Requested(msgspec.Struct, frozen=True):
    """Somebody wants this told: for the first time, beside what is planned already, or in other words than before."""

    matter: Matter


class Withdrawn(msgspec.Struct, frozen=True):
    """It need not be told any more: paid meanwhile, settled, too old. ``matter``: which; None: nothing of it."""

    reason: str
    matter: str | None = None


def waiting(matters: Iterable[Matter]) -> tuple[Matter, ...]:
    """Those still to be told."""
    return tuple(each for each in matters if not each.over)


def until_ms(matters: Sequence[Matter]) -> int:
    """From when on none of them is worth telling."""
    return max((each.until_ms for each in waiting(matters)), default=0)


def on_record(step: ContactStep, matter: Matter) -> ContactStep:
    """``step`` as one about ``matter``: of a bill with its account, its stage and the request that asked for it."""
    if matter.bill is None:
        return replace(step, subject=matter.subject)
    bill = matter.bill
    return replace(step, subject=matter.subject, account=bill.account, stage=bill.stage, request=matter.id)


def named_in(step: ContactStep) -> tuple[str, ...]:
    """The matters that a step is about."""
    return tuple(step.subject.values()) if step.request is None else (step.request,)
