"""How reminders, promises and a customer's contacts read: words of one language, numbers of people masked."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple
from urllib.parse import quote

from pipeline.core.masking import mask
from pipeline.core.records import ContactStep
from pipeline.desk.figures import NOTHING, money, percent
from pipeline.desk.owing import Cure, Promised, PromiseWord
from pipeline.desk.reminding import NOTICE, Reminder, Seen, State, kind_of
from pipeline.desk.wording import Tone, Wording, masked_card

FEW = 20
"""Below so many a share is shown as small: one bill more or less moves it by five points or more."""
ID_SHOWN = 24
ACCOUNT_SHOWN = 6
"""Last characters of an account's id."""
STATE_TONES: dict[State, Tone] = {"waiting": "plain", "under_way": "busy", "told": "good", "stopped": "warn"}
PROMISE_TONES: dict[PromiseWord, Tone] = {"open": "busy", "kept": "good", "broken": "bad", "replaced": "plain"}


class ReminderView(NamedTuple):
    at: str
    customer: str
    customer_path: str
    stage: str
    about: str
    amount: str
    channel: str
    state: str
    tone: Tone
    why: str


class CureView(NamedTuple):
    """``few``: too small a number to lean on."""

    name: str
    counted: str
    share: str
    running: str
    few: bool


class PromiseView(NamedTuple):
    customer: str
    customer_path: str
    account: str
    amount: str
    by: str
    made: str
    state: str
    tone: Tone


class TimelineView(NamedTuple):
    day: str
    at: str
    class_: str
    stage: str
    words: str
    why: str
    channel: str
    tone: Tone


class RemindingWording:
    """On top of the desk's own wording of a language."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._text = wording.text

    def reminder(self, reminder: Reminder) -> ReminderView:
        card = self._text["card_short"].format(id=masked_card(reminder.card)) if reminder.card else ""
        account = self._text["account_short"].format(id=short(reminder.account)) if reminder.account else ""
        return ReminderView(
            at=self._wording.clock(reminder.moved_ms),
            customer=name_of(reminder.customer),
            customer_path=path_of(reminder.customer),
            stage=self.matter(reminder.stage, reminder.template),
            about=" · ".join(part for part in (card, account) if part),
            amount=money(reminder.amount, reminder.currency),
            channel=self.channel(reminder.channel),
            state=self._text[f"state_{reminder.state}"],
            tone=STATE_TONES[reminder.state],
            why=self.why(reminder.reason),
        )

    def stage(self, stage: str) -> str:
        """A stage of the bank's own that has no words here goes by its name."""
        return self._text.get(f"stage_{stage}", mask(stage)[:ID_SHOWN])

    def matter(self, stage: str, template: str) -> str:
        """What it is about: the stage of a bill, or which notice."""
        return self._text.get(f"template_{template}", self.stage(stage)) if stage == NOTICE else self.stage(stage)

    def channel(self, channel: str | None) -> str:
        return self._text.get(f"channel_{channel}", mask(channel)[:ID_SHOWN]) if channel else NOTHING

    def why(self, reason: str) -> str:
        """The reason itself, readable, where there are no words for it."""
        code = "expired" if reason.startswith("expired") else reason
        words = self._text.get(f"why_{code}") or self._text.get(f"failed_{code}")
        return words or mask(reason.replace("_", " "))[: 2 * ID_SHOWN]

    def cure(self, name: str, cure: Cure) -> CureView:
        return CureView(
            name=name,
            counted=self._text["cure_share"].format(cured=f"{cure.cured:,}", told=f"{cure.told:,}"),
            share=percent(cure.cured / cure.told) if cure.told else NOTHING,
            running=self._text["cure_running"].format(n=f"{cure.running:,}") if cure.running else "",
            few=cure.told < FEW,
        )

    def promise(self, promised: Promised) -> PromiseView:
        return PromiseView(
            customer=name_of(promised.customer),
            customer_path=path_of(promised.customer),
            account=short(promised.account),
            amount=money(promised.amount, promised.currency or None),
            by=date.fromordinal(promised.by).isoformat(),
            made=self._wording.day_and_hour(promised.made_ms),
            state=self._text[f"promise_{promised.state}"],
            tone=PROMISE_TONES[promised.state],
        )

    def timeline(self, seen: Iterable[Seen]) -> Sequence[TimelineView]:
        return [self._seen(one) for one in seen]

    def _seen(self, seen: Seen) -> TimelineView:
        step: ContactStep = seen.step
        moment = self._wording.moment(seen.timestamp_ms, step)
        said = step.step in ("answered", "failed")  # whose words hold the reason already
        promised = ""
        if step.answer == "promise" and step.by is not None:
            promised = f"{self._text['promise_by']} {mask(step.by)}"
        return TimelineView(
            day=self._wording.day(seen.timestamp_ms),
            at=moment.at,
            class_=self._text.get(f"class_{step.class_}", mask(step.class_)),
            stage=self.stage(kind_of(step.stage)) if step.stage else "",
            words=moment.words,
            why=promised if said else self.why(step.reason) if step.reason else "",
            channel=self.channel(step.channel) if step.channel else "",
            tone=moment.tone,
        )


def short(account: str) -> str:
    """The last characters of an account's id: enough to tell two of one customer apart."""
    return f"…{mask(account)[-ACCOUNT_SHOWN:]}" if len(account) > ACCOUNT_SHOWN else mask(account)


def name_of(customer: str) -> str:
    """The bank's own id of a customer; were it a card's or a telephone's number, only its end."""
    return mask(customer)[:ID_SHOWN] or NOTHING


def path_of(customer: str) -> str:
    """Where a customer's page is; empty for an id that must not be shown whole."""
    if mask(customer) != customer:
        return ""
    return f"/customers/{quote(customer, safe='')}"
