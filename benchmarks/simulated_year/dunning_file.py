"""The evidence of a year of reminders, sorted for the judge: what was said to whom, and what the bank knew that owed.

What an account owed at a moment is worked out from the records of ``accounts`` that had been taken in by then, in the
order of the store's steps, by the plain arithmetic of `ledger`.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from simulated_year.dunning_evidence import DunningEvidence, Event, Spoken
from simulated_year.evidence import Told
from simulated_year.ledger import Ledger, Owing
from simulated_year.reminder_rules import PlanRules, ReminderRules

NEVER = 1 << 60
_AMOUNT = re.compile(r"\d[\d,]*\.\d\d")
REISSUED = "r"


class Violation(NamedTuple):
    """``rule`` was broken towards ``customer`` at ``at_ms``."""

    rule: str
    customer: str
    at_ms: int
    words: str


class Attempt(NamedTuple):
    """One bill told of in one attempt; ``step`` claimed it. ``bill`` under its first name; ``alone``: nothing else was told
    with it; ``spoken`` None: no provider took it."""

    customer: str
    account: str
    bill: str
    stage: str
    class_: str
    contact: str
    number: int
    channel: str
    at_ms: int
    step: int
    alone: bool
    spoken: Spoken | None

    @property
    def thanks(self) -> bool:
        return self.stage.startswith("thanks")

    @property
    def amounts(self) -> Sequence[int]:
        """What was said, in minor units."""
        found = _AMOUNT.findall(self.spoken.text) if self.spoken else []
        return [int(each.replace(",", "").replace(".", "")) for each in found]


class Known:
    """One account as the bank came to know it: ``events`` in the order in which they were taken in."""

    def __init__(self, plan: PlanRules) -> None:
        self._plan = plan
        self.events: list[tuple[int, int, Event]] = []
        self._ledger: Ledger | None = None
        self._read = 0

    def _at(self, count: int) -> Ledger:
        if self._ledger is None or count < self._read:
            self._ledger, self._read = Ledger(self._plan.zone, self._plan.tolerance), 0
        for _, _, event in self.events[self._read : count]:
            self._ledger.hears(event.value, event.said)
        self._read = count
        return self._ledger

    def by_step(self, step: int) -> Ledger:
        return self._at(bisect_right(self.events, step, key=lambda each: each[0]))

    def by_ms(self, at_ms: int) -> Ledger:
        return self._at(bisect_right(self.events, at_ms, key=lambda each: each[1]))

    def owing(self, at_ms: int) -> Owing:
        """By what had been taken in by then."""
        return self.by_ms(at_ms).owing(at_ms)

    def changes(self, from_ms: int, until_ms: int) -> list[int]:
        """The moments in between at which something was taken in."""
        first = bisect_left(self.events, from_ms, key=lambda each: each[1])
        return [at_ms for _, at_ms, _ in self.events[first:] if at_ms < until_ms]


def bill_of(name: str) -> str:
    """A bill's first name: one issued again has another."""
    return name.removesuffix(REISSUED)


class DunningFile:
    """The evidence, sorted. ``words``: (bill, stage) → the steps of contacts about it; ``unread``: requests that expired
    before anybody read them."""

    def __init__(self, evidence: DunningEvidence, rules: ReminderRules, plan: PlanRules) -> None:
        self.evidence = evidence
        self.rules = rules
        self.plan = plan
        self.known: dict[str, Known] = defaultdict(lambda: Known(plan))
        self._accounts()
        self.words: dict[tuple[str, str], list[Told]] = defaultdict(list)
        self.withdrawn: dict[tuple[str, str], list[Told]] = defaultdict(list)
        self.requested: dict[tuple[str, str], Told] = {}
        self.unread = {tuple(_named(each)) for each in evidence.dead}
        self.attempts: list[Attempt] = []
        spoken = {(one.contact, one.number): one for one in reversed(evidence.spoken)}
        for told in evidence.told:
            value = told.value
            if told.topic == "contacts" and "statement" in value["subject"]:
                self.words[bill_of(value["subject"]["statement"]), value["stage"]].append(told)
                if value["step"] == "sending":
                    self._attempt(value, spoken)
            elif told.topic == "contact-requests" and value.get("bill"):
                name = bill_of(value["bill"]["statement"]), value["bill"]["stage"]
                if value.get("withdrawn"):
                    self.withdrawn[name].append(told)
                else:
                    self.requested.setdefault(name, told)
        self._records: dict[str, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        for at_ms, customer, record in evidence.records:
            self._records[customer].append((at_ms, record))

    def _accounts(self) -> None:
        for events, taken in zip(self.evidence.events, self.evidence.taken, strict=True):
            ends = [after for _, _, after in taken]
            for offset, event in enumerate(events):
                place = bisect_right(ends, offset)
                step, at_ms = taken[place][:2] if place < len(taken) else (NEVER, NEVER)
                self.known[event.account].events.append((step, at_ms, event))
        for known in self.known.values():
            known.events.sort(key=lambda each: each[0])

    def _attempt(self, value: Mapping[str, Any], spoken: Mapping[tuple[str, int], Spoken]) -> None:
        key = value["contact"], value["attempt"]
        step, at_ms = self.evidence.claimed[key]
        names = value.get("covers") or [value["request"]]
        for name in names:
            bill, stage = _named(name)
            self.attempts.append(
                Attempt(
                    value["customer"], bill.rpartition("-")[0], bill, stage, value["class"], *key, value["channel"],
                    at_ms, step, len(names) == 1, spoken.get(key),
                )
            )  # fmt: skip

    def record(self, customer: str, at_ms: int) -> Mapping[str, Any]:
        """The bank's record of a customer as it was then."""
        return [record for known_ms, record in self._records[customer] if known_ms <= at_ms][-1]

    def newest_ms(self, customer: str, at_ms: int) -> int:
        """When the record of then had become known."""
        return max(known_ms for known_ms, _ in self._records[customer] if known_ms <= at_ms)


def _named(request: str) -> tuple[str, str]:
    bill, _, stage = request.rpartition("/")
    return bill_of(bill), stage


def timeline(file: DunningFile, customer: str) -> list[tuple[int, str]]:
    """All that happened to a customer."""
    evidence = file.evidence
    accounts = {f"ac_{customer}", f"ln_{customer}"}
    lines = [
        (at_ms, f"taken in by step {step}: {dict(event.value)}")
        for account in sorted(accounts)
        for step, at_ms, event in (file.known[account].events if account in file.known else ())
    ]
    lines += [(at_ms, f"record {record}") for at_ms, name, record in evidence.records if name == customer]
    lines += [
        (told.at_ms, f"{told.topic} {dict(told.value)}") for told in evidence.told if told.key == customer
    ]  # fmt: skip
    contacts = {told.value["contact"] for told in evidence.told if told.key == customer and "contact" in told.value}
    lines += [(one.at_ms, f"said to them {one}") for one in evidence.spoken if one.contact in contacts]
    lines += [(one.given_ms, f"said by them {one}") for one in evidence.said if one.contact in contacts]
    return sorted(lines)
