"""The topic ``accounts`` of the simulated bank: its billing system writes late, twice, out of order, and corrects itself."""

import random
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from simulated_year.agenda import Agenda
from simulated_year.bank import Read
from simulated_year.dunning_evidence import DunningEvidence, Event

PARTITIONS = 2
LATE = 0.01
TWICE = 0.01
WRONG = 0.006
"""Shares of records: written late (other records of the account come first), written again, and first with a wrong
amount, corrected under the same id."""


def partition_of(account: str) -> int:
    return zlib.crc32(account.encode()) % PARTITIONS


class AccountsLog:
    """``records``: by partition, as the reminder role reads them."""

    def __init__(self, agenda: Agenda, rng: random.Random, evidence: DunningEvidence) -> None:
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self.records: list[list[Read]] = [[] for _ in range(PARTITIONS)]

    def writes(self, account: str, event: Mapping[str, Any]) -> None:
        rng, wait_s = self._rng, 0.0
        chance = rng.random()
        if chance < LATE:
            self._evidence.fault("an account's record written late")
            wait_s = rng.choice([600.0, 3 * 3600.0, 30 * 3600.0])
        elif chance < LATE + TWICE:
            self._evidence.fault("an account's record written twice")
            self._later(rng.choice([1.0, 900.0, 90_000.0]), account, event)
        elif chance < LATE + TWICE + WRONG and event["type"] in ("repayment", "statement"):
            self._evidence.fault("an account's record corrected")
            right, event, wait_s = event, _wrong(event, rng), 0.0
            self._later(rng.choice([300.0, 7200.0]), account, right)
        self._later(wait_s, account, event)

    def _later(self, seconds: float, account: str, event: Mapping[str, Any]) -> None:
        if not seconds:
            self._append(account, event)
            return

        async def appends() -> None:
            self._append(account, event)

        self._agenda.after(seconds, appends)

    def _append(self, account: str, event: Mapping[str, Any]) -> None:
        number = partition_of(account)
        log = self.records[number]
        said = self._evidence.stamp(self._agenda.now_ms)  # a log's timestamps grow
        record = Read(msgspec.json.encode(event), account.encode(), number, len(log), said)
        log.append(record)
        self._evidence.events[number].append(Event(account, event, said))


def _wrong(event: Mapping[str, Any], rng: random.Random) -> Mapping[str, Any]:
    if event["type"] == "repayment":
        return {**event, "amount": max(1, round(event["amount"] * rng.choice([0.1, 0.9, 1.5])))}
    return {**event, "minimum_due": event["minimum_due"] + 5_000, "balance": event["balance"] + 20_000}
