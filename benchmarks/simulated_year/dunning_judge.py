"""Looks at a year of reminders from outside, as a customer's lawyer would. Each rule is a function from the file to the
violations it finds. Nothing of the product's arithmetic, plan or gates is used."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from simulated_year.dunning_file import Attempt, DunningFile, Known, Violation
from simulated_year.evidence import Told
from simulated_year.ledger import Billed, Owing, begins_ms, local_day, moment_ms
from simulated_year.reminder_rules import StageRule, moved, too_many

TOLD = ("accepted", "delivered", "answered")
OPEN = ("planned", "deferred")
"""Steps after which it is still to be told: why it waits is no reason not to be told at all."""


def _violation(rule: str, one: Attempt, words: str) -> Violation:
    return Violation(rule, one.customer, one.at_ms, f"{one.bill}/{one.stage} by {one.channel}: {words}")


def _reminders(file: DunningFile) -> Iterator[tuple[Attempt, Owing]]:
    """Attempts that remind, with what was owed by all that had been taken in when they were claimed."""
    for one in file.attempts:
        if not one.thanks:
            yield one, file.known[one.account].by_step(one.step).owing(one.at_ms)


def owed_nothing(file: DunningFile) -> Iterator[Violation]:
    for one, owing in _reminders(file):
        ledger = file.known[one.account].by_step(one.step)
        if 0 < ledger.closed_ms <= one.at_ms:
            yield _violation("owed nothing", one, "the account was closed")
        elif not any(left for bill, left in owing.bills if bill.id.startswith(one.bill)):
            yield _violation("owed nothing", one, f"nothing of that bill was owed; in all {owing.owed}")


def wrong_amount(file: DunningFile) -> Iterator[Violation]:
    """What was said is what was owed when the attempt was claimed: all that is due, past the due date all that is late."""
    for one, owing in _reminders(file):
        oldest, today = owing.oldest, local_day(file.plan.zone, one.at_ms)
        if oldest is None or not one.alone:
            continue
        due = owing.owed if today <= oldest.due else owing.overdue(today)
        if wrong := [each for each in one.amounts if each != due]:
            yield _violation("wrong amount", one, f"said {wrong}, owed {due}")


def too_early(file: DunningFile) -> Iterator[Violation]:
    """Collection is for what is past its grace."""
    for one, owing in _reminders(file):
        oldest, today = owing.oldest, local_day(file.plan.zone, one.at_ms)
        if one.class_ == "collection" and oldest and (today - oldest.due).days <= file.plan.grace_days:
            yield _violation("too early", one, f"due on {oldest.due}, collected on {today}")


def told_twice(file: DunningFile) -> Iterator[Violation]:
    """A stage of a bill is one contact; an attempt reaches its provider once."""
    contacts: dict[tuple[str, str], str] = {}
    for one in file.attempts:
        if contacts.setdefault((one.bill, one.stage), one.contact) != one.contact:
            yield _violation("told twice", one, f"told by {contacts[one.bill, one.stage]} before")
    taken = set()
    by_key = {(one.contact, one.number): one for one in file.attempts}
    for spoken in file.evidence.spoken:
        key = spoken.contact, spoken.number
        if key in taken and key in by_key:
            yield _violation("told twice", by_key[key], f"attempt {spoken.number} was taken by its provider before")
        taken.add(key)


def outside_hours(file: DunningFile) -> Iterator[Violation]:
    for one in _attempts(file):
        record = file.record(one.customer, one.at_ms)
        if not file.rules.open(one.class_, one.channel, record, one.at_ms):
            yield _violation("outside hours", one, f"{one.class_} in {file.rules.zones_of(record)}")


def too_often(file: DunningFile) -> Iterator[Violation]:
    """Caps, in the customer's calendar days, over reminders and collection together where they share one."""
    taken = [one for one in _attempts(file) if one.spoken is not None]
    for class_, rules in file.rules.of.items():
        for cap in rules.caps:
            groups: dict[str, list[Attempt]] = defaultdict(list)
            for one in taken:
                if one.channel in cap.channels and cap in file.rules.of[one.class_].caps:
                    assert one.spoken is not None
                    groups[one.customer if cap.of == "customer" else one.spoken.to].append(one)
            for group in groups.values():
                moments = [one.at_ms for one in group]
                for one in group if len(group) > cap.limit else ():
                    zones = file.rules.zones_of(file.record(one.customer, one.at_ms))
                    if one.class_ == class_ and any(too_many(cap, moments, zone, one.at_ms) for zone in zones):
                        yield _violation("too often", one, f"more than {cap}")


def _attempts(file: DunningFile) -> Iterator[Attempt]:
    """Each attempt once, whatever it told of."""
    seen = set()
    for one in file.attempts:
        if (one.contact, one.number) not in seen:
            seen.add((one.contact, one.number))
            yield one


def not_respected(file: DunningFile) -> Iterator[Violation]:
    """No reminder to who is protected, has not consented, or said STOP; none at a number that is a stranger's."""
    customers = {one.contact: one.customer for one in file.attempts}
    stopped: dict[str, int] = {}
    strangers: dict[tuple[str, str], int] = {}
    for said in file.evidence.said:
        if said.heard_ms is not None and said.contact in customers:
            customer = customers[said.contact]
            if said.word == "stop":
                stopped[customer] = min(said.heard_ms, stopped.get(customer, said.heard_ms))
            elif said.word == "wrong_person":
                key = customer, said.number
                strangers[key] = min(said.heard_ms, strangers.get(key, said.heard_ms))
    for one in _attempts(file):
        record = file.record(one.customer, one.at_ms)
        protected = file.rules.of[one.class_].protections & set(record["protections"])
        if protected and file.newest_ms(one.customer, one.at_ms) < one.at_ms:
            yield _violation("not respected", one, f"told although {sorted(protected)}")
        if not file.rules.consents(one.class_, one.channel, record):
            yield _violation("not respected", one, "told without consent")
        if stopped.get(one.customer, one.at_ms) < one.at_ms:
            yield _violation("not respected", one, "told after a STOP")
        if one.spoken and strangers.get((one.customer, one.spoken.to), one.at_ms) < one.at_ms:
            yield _violation("not respected", one, "told at a stranger's number")


def promise_ignored(file: DunningFile) -> Iterator[Violation]:
    """A promise is waited for until its day and the days of posting are over, unless a newer bill has come."""
    made = _promises(file)
    for one, _ in _reminders(file):
        heard_by = [each for each in made.get(one.account, ()) if each.step < one.step]
        if not heard_by:
            continue
        _, made_ms, until_ms, owed = heard_by[-1]
        ledger = file.known[one.account].by_step(one.step)
        newer = any(bill.cut_ms > made_ms for bill in ledger.out(one.at_ms))
        since = sum(paid.amount for paid in ledger.paid.values() if paid.posted and paid.at_ms >= made_ms)
        if owed and one.at_ms < until_ms and not newer and since < owed:
            yield _violation("promise ignored", one, f"promised {owed} at {made_ms}, to be waited for until {until_ms}")


class Promised(NamedTuple):
    """Heard of by the reminder role at ``step``; waited for until ``until_ms``; ``owed`` when it was made."""

    step: int
    made_ms: int
    until_ms: int
    owed: int


def _promises(file: DunningFile) -> Mapping[str, Sequence[Promised]]:
    """By account, the first made first."""
    made: dict[str, list[Promised]] = defaultdict(list)
    for told in file.evidence.told:
        heard = file.evidence.answered.get(told.id)
        if told.topic == "contacts" and told.value.get("answer") == "promise" and heard and told.value.get("account"):
            at_ms = moment_ms(told.value["time"])
            by = told.value.get("by")
            today = local_day(file.plan.zone, at_ms)
            day = date.fromisoformat(by) if by else today + timedelta(days=file.plan.promise_days)
            until_ms = begins_ms(file.plan.zone, day + timedelta(days=file.plan.posting_days + 1))
            owed = file.known[told.value["account"]].owing(at_ms).owed
            made[told.value["account"]].append(Promised(heard[1], at_ms, until_ms, owed))
    return made


# --- nobody is forgotten


class Overdue(NamedTuple):
    """A stage through which a bill was overdue. ``outcome``: told, or the reason on record why not; empty: nothing is."""

    account: str
    bill: Billed
    stage: str
    from_ms: int
    outcome: str


def overdue_stages(file: DunningFile) -> Iterator[Overdue]:
    """Of every bill the stages past its due date that it was overdue through, up to the end of what is known."""
    end_ms = max((told.at_ms for told in file.evidence.told), default=0)
    promises = _promises(file)
    for account, known in file.known.items():
        for bill in _bills(known):
            for number, stage in enumerate(file.plan.stages):
                if stage.day < 1:
                    continue
                from_ms, until_ms = _window(file, bill, number, stage)
                if until_ms > end_ms or not _overdue(known, bill, from_ms, until_ms):
                    continue
                outcome = reason_of(file, bill.id, stage.name)
                waited = any(one.made_ms < until_ms <= one.until_ms for one in promises.get(account, ()))
                yield Overdue(account, bill, stage.name, from_ms, outcome or ("promise" if waited else ""))


def forgotten(file: DunningFile) -> Iterator[Violation]:
    """Every bill that is overdue through a whole stage was told of at it, or there is a reason on record: that it was
    skipped or not told, or the customer's promise, if that was waited for until the stage was over."""
    for one in overdue_stages(file):
        if not one.outcome:
            words = f"{one.bill.id}/{one.stage}: overdue from {one.bill.due}, and nobody said a word"
            yield Violation("forgotten", one.account.partition("_")[2], one.from_ms, words)


def _bills(known: Known) -> Sequence[Billed]:
    """Under their first names."""
    ledger = known.by_step(1 << 59)
    return [bill for bill in ledger.bills.values() if not bill.id.endswith("r")]


def _window(file: DunningFile, bill: Billed, number: int, stage: StageRule) -> tuple[int, int]:
    """From when until when it may be told: a stage moved by holidays comes no later than the next one."""
    zone, stages = file.plan.zone, file.plan.stages
    days = [moved(file.plan, bill.due + timedelta(days=each.day), each.on_holiday) for each in stages]
    from_ms = min(
        begins_ms(zone, day) + each.minutes * 60_000 for day, each in zip(days[number:], stages[number:], strict=True)
    )
    last = max(bill.due + timedelta(days=stage.until_day), days[number])
    return from_ms, begins_ms(zone, last + timedelta(days=1))


def _overdue(known: Known, bill: Billed, from_ms: int, until_ms: int) -> bool:
    """Whether that bill was the oldest unpaid one of an open account all the time in between, as the bank knew."""
    for at_ms in (from_ms, *known.changes(from_ms, until_ms), until_ms - 1):
        ledger = known.by_ms(at_ms)
        owing = ledger.owing(at_ms)
        oldest = owing.oldest
        if oldest is None or not oldest.id.startswith(bill.id) or oldest.due != bill.due:
            return False
        if 0 < ledger.closed_ms <= at_ms:
            return False
    return True


def reason_of(file: DunningFile, bill: str, stage: str) -> str:
    """told, or the reason on record why not; empty: nothing is."""
    words: Sequence[Told] = file.words.get((bill, stage), ())
    if any(told.value["step"] in TOLD for told in words):
        return "told"
    reasons = [told.value["reason"] for told in words if told.value.get("reason") and told.value["step"] not in OPEN]
    reasons += [told.value["withdrawn"] for told in file.withdrawn.get((bill, stage), ())]
    return reasons[-1] if reasons else "unread" if (bill, stage) in file.unread else ""


Rule = Callable[[DunningFile], Iterator[Violation]]
RULES: Sequence[Rule] = (
    owed_nothing, wrong_amount, too_early, told_twice, outside_hours, too_often, not_respected, promise_ignored, forgotten,
)  # fmt: skip


def judged(file: DunningFile) -> list[Violation]:
    """Every violation, in the order of time."""
    return sorted((found for rule in RULES for found in rule(file)), key=lambda violation: violation.at_ms)
