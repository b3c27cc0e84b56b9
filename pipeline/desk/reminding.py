"""What the desk knows of reminders and notices: a bounded projection of contact-requests, contacts and accounts.

The topics are read side by side, so a step may come before the request it is about; both are kept under the customer and
the request's id and meet when shown. Contacts of every class are kept by customer, for the timeline.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from pipeline.core.account_event import BadAccountEvent, read_event
from pipeline.core.records import ContactRequest, ContactStep
from pipeline.desk.owing import Heard, Owing
from pipeline.ports import Record

REMINDERS_KEPT = 20_000
"""Requests: reminders, collections and notices."""
CUSTOMERS_KEPT = 10_000
STEPS_OF_ONE = 100
"""Steps of one customer's timeline."""

State = Literal["waiting", "under_way", "told", "stopped"]
REACHED: Final = frozenset({"delivered", "completed", "answered"})
"""Steps after which the customer knows."""
ENDED: Final = frozenset({"cancelled", "expired"})
NOTICE: Final = "notice"
THANKS: Final = "thanks"
BROKEN: Final = "broken"


class Reminder(NamedTuple):
    """One request. Amounts in minor units, as they were when it was asked for; ``stage``: the plan's, or thanks, broken,
    notice; ``moved_ms``: log time of what was last heard of it; ``asked_ms`` and ``told_ms`` 0: not seen."""

    id: str
    customer: str
    class_: str
    stage: str
    template: str = ""
    account: str = ""
    bill: str = ""
    card: str = ""
    amount: int | None = None
    currency: str | None = None
    asked_ms: int = 0
    told_ms: int = 0
    moved_ms: int = 0
    state: State = "waiting"
    reason: str = "asked"
    channel: str = ""


class Seen(NamedTuple):
    """A step of a customer's timeline; ``timestamp_ms`` is its time in the log."""

    timestamp_ms: int
    step: ContactStep


class Tally(NamedTuple):
    """``asked``, ``told``, ``stopped`` and ``skipped`` on the day; ``waiting`` (or under way) now. What is skipped was
    left out by the plan and never asked for."""

    asked: int = 0
    waiting: int = 0
    told: int = 0
    stopped: int = 0
    skipped: int = 0


class Day(NamedTuple):
    """By stage, and by reason, the commonest first."""

    total: Tally
    stages: dict[str, Tally]
    waiting: Sequence[tuple[str, int]]
    stopped: Sequence[tuple[str, int]]
    skipped: Sequence[tuple[str, int]]


class Reminding:
    """Feed it records with the ``apply_…`` methods; each answers False for a record it could not read. ``zone``: whose
    clock says which day and hour it is."""

    def __init__(self, owing: Owing | None = None, zone: ZoneInfo | None = None) -> None:
        self.owing = Owing() if owing is None else owing
        self._zone = zone or ZoneInfo("Asia/Shanghai")
        self.revision = 0
        self._reminders: OrderedDict[tuple[str, str], Reminder] = OrderedDict()
        self._customers: OrderedDict[str, tuple[Seen, ...]] = OrderedDict()
        self._decode_request = msgspec.json.Decoder(ContactRequest).decode

    # what comes in

    def apply_request(self, record: Record) -> bool:
        try:
            request = self._decode_request(record.value or b"")
        except msgspec.MsgspecError:
            return False
        known = self._reminders.get((request.customer, request.id))
        if request.withdrawn:
            if known is None or known.state in ("waiting", "under_way"):
                self._taken_back(known or _first(request, record), request.withdrawn, record.timestamp)
            return True
        facts, said = request.variables, _first(request, record)
        amount, currency, card = facts.get("amount"), facts.get("currency"), facts.get("card")
        first = known or said
        self._keep(
            first._replace(
                class_=request.class_,
                stage=said.stage,
                template=request.template,
                account=said.account,
                bill=said.bill,
                card=card if isinstance(card, str) else "",
                amount=amount if isinstance(amount, int) else None,
                currency=currency if isinstance(currency, str) else None,
                asked_ms=first.asked_ms or record.timestamp,
            )
        )
        return True

    def apply_contact(self, step: ContactStep, record: Record) -> None:
        if step.customer is None:
            return
        seen = Seen(record.timestamp, step)
        timeline = self._customers.get(step.customer, ())
        if any(known.step == step for known in timeline):
            return  # the outbox sends again what it could not confirm
        self.revision += 1
        self._customers[step.customer] = (*timeline, seen)[-STEPS_OF_ONE:]
        self._customers.move_to_end(step.customer)
        if len(self._customers) > CUSTOMERS_KEPT:
            self._customers.popitem(last=False)
        name = step.request or step.subject.get("request")
        if name is not None:
            self._moved(step, step.customer, name, record.timestamp)

    def apply_account(self, record: Record) -> bool:
        try:
            event = read_event(record.key, record.value)
            self.owing.said(event, record.timestamp, record.partition)
        except BadAccountEvent:
            return False
        self.revision += 1
        return True

    def _taken_back(self, reminder: Reminder, reason: str, at_ms: int) -> None:
        self._keep(reminder._replace(state="stopped", reason=reason, moved_ms=at_ms))

    def requests_began_anew(self) -> None:
        self._reminders.clear()
        self.revision += 1

    def contacts_began_anew(self) -> None:
        self._customers.clear()
        self._reminders.clear()
        self.revision += 1

    def accounts_began_anew(self) -> None:
        self.owing.began_anew()
        self.revision += 1

    def _moved(self, step: ContactStep, customer: str, name: str, at_ms: int) -> None:
        known = self._reminders.get((customer, name))
        if known is None:
            stage = kind_of(step.stage) if step.stage else NOTICE
            known = Reminder(name, customer, step.class_, stage, account=step.account or "")
        bill = step.subject.get("statement", known.bill)
        channel = step.channel or known.channel
        after = known._replace(bill=bill, channel=channel, moved_ms=at_ms, reason=step.reason or step.step)
        if step.step in REACHED:
            after = after._replace(state="told", told_ms=known.told_ms or at_ms)
        elif known.state != "told":
            state: State = "stopped" if step.step in ENDED else "waiting"
            after = after._replace(state="under_way" if step.step in _UNDER_WAY else state)
        if known.state == "stopped" and after.state in ("waiting", "under_way"):
            after = known  # an attempt that was under way reports after it was withdrawn
        self._keep(after)
        if step.account and after.state == "told" and not known.told_ms and after.stage != THANKS:
            hour = datetime.fromtimestamp(at_ms / 1000, self._zone).hour
            self.owing.heard(step.account, customer, Heard(bill, after.stage, channel or "agent", hour, at_ms))
        if step.account and step.answer == "promise":
            self.owing.promised(step.account, customer, at_ms, step.amount, _ordinal(step.by), step.contact)

    def _keep(self, reminder: Reminder) -> None:
        key = reminder.customer, reminder.id
        self._reminders[key] = reminder
        self._reminders.move_to_end(key)
        if len(self._reminders) > REMINDERS_KEPT:
            self._reminders.popitem(last=False)
        self.revision += 1

    # what is asked

    def newest(self, limit: int) -> Sequence[Reminder]:
        """What moved last first."""
        found: list[Reminder] = []
        for reminder in reversed(self._reminders.values()):
            if len(found) == limit:
                break
            found.append(reminder)
        return found

    def of_customer(self, customer: str) -> Sequence[Seen]:
        """Steps of all classes, oldest first."""
        return self._customers.get(customer, ())

    def day(self, now_ms: int) -> Day:
        """The day in which ``now_ms`` lies, by the bank's clock."""
        local = datetime.fromtimestamp(now_ms / 1000, self._zone)
        from_ms = round(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
        stages: dict[str, Tally] = {}
        waiting: Counter[str] = Counter()
        stopped: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        for each in self._reminders.values():
            waits = each.state in ("waiting", "under_way")
            ended = each.state == "stopped" and each.moved_ms >= from_ms
            if waits:
                waiting[each.reason] += 1
            if ended:
                (stopped if each.asked_ms else skipped)[each.reason] += 1
            left_out = ended and not each.asked_ms
            one = Tally(each.asked_ms >= from_ms, waits, each.told_ms >= from_ms, ended and not left_out, left_out)
            if any(one):
                stages[each.stage] = _sum(stages.get(each.stage, Tally()), one)
        total = Tally()
        for tally in stages.values():
            total = _sum(total, tally)
        return Day(total, stages, waiting.most_common(), stopped.most_common(), skipped.most_common())

    def __len__(self) -> int:
        """Requests kept."""
        return len(self._reminders)


_UNDER_WAY: Final = frozenset({"sending", "accepted", "unknown", "escalated"})


def kind_of(stage: str) -> str:
    """The stages that name a payment or a promise beside, without it."""
    return next((kind for kind in (THANKS, BROKEN) if stage.startswith(f"{kind}_")), stage)


def _first(request: ContactRequest, record: Record) -> Reminder:
    bill = request.bill
    account, statement, stage = ("", "", NOTICE) if bill is None else (bill.account, bill.statement, bill.stage)
    return Reminder(
        request.id,
        request.customer,
        request.class_,
        kind_of(stage),
        account=account,
        bill=statement,
        moved_ms=record.timestamp,
    )


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(*(left + right for left, right in zip(one, other, strict=True)))


def _ordinal(day: str | None) -> int | None:
    try:
        return None if day is None else datetime.fromisoformat(day).toordinal()
    except ValueError:
        return None
