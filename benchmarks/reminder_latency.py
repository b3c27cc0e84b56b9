"""How soon a payment cancels a reminder, how late a due one starts, and what the reminder role costs the scorer beside it.

    python benchmarks/reminder_latency.py KAFKA [--parts stop late scorer] [--pairs 7] [--seconds 8] [--json FILE]

KAFKA is a directory of Kafka's jars. Kafka and two Redis servers are started here: one for the cards' rows, and the contact
store with ``appendfsync always``. Times are differences of Kafka timestamps, which clients on one machine set.

stop    bills of customers that are not in the directory: their reminders are planned and deferred. Payments at a steady rate,
        from the repayment on ``accounts`` to the step ``cancelled`` on ``contacts``.
late    bills whose stage comes at a full minute, all at once: from that moment to ``contact-requests``, and to the
        first step ``sending``.
scorer  decisions at a steady rate, alone and beside the reminder role with events of accounts and every payment read for
        notices; which comes first alternates. The role is stopped and started again in between.

Exit code 1: a figure is above its limit, or something is missing.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))

from installation import Installation
from outside import Read
from redis_outage_latency import Decisions, Line
from servers import ApacheKafka, RedisServer
from test_loop import customer

STOP_P99_MS, LATE_S, P50_RATIO, P99_RATIO = 50.0, 1.0, 1.1, 1.5
PAYMENTS, PAYMENTS_PER_S = 400, 25.0
WARMING = 300
"""Payments before those that count: a broker just started spends a core on compiling itself."""
DUE_TOGETHER = 60
ACCOUNTS, EVENTS_PER_S = 500, 50.0
WARM_S, SETTLE_S, WAIT_S = 15.0, 1.0, 60.0
PLAN = """
name = "measured"
zone = "Asia/Shanghai"

[[product]]
name = "card"
tolerance = 1000
grace_days = 3
posting_grace_days = 1

[[product]]
name = "loan"
tolerance = 1000
grace_days = 3
posting_grace_days = 1

[[stage]]
name = "at_once"
day = 0
until_day = 0
at = "00:00"
class = "reminder"
template = "due"

[[stage]]
name = "minute"
day = -1
until_day = -1
at = "MINUTE"
class = "reminder"
template = "due_soon"

[spread]
start = "00:00"
end = "24:00"
"""
LADDER = """
[[ladder]]
classes = ["reminder"]
channel = "voice"

"""


def bank_time() -> datetime:
    return datetime.now(UTC) + timedelta(hours=8)


class Billing:
    """The bank's billing system."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._paid = 0

    def say(self, number: int, kind: str, **more: Any) -> None:
        value = {"type": kind, "account": f"ac{number:06}", **more}
        self._installation.outside.produce_json("accounts", f"ac{number:06}", value)

    def bill(self, number: int, due_in_days: int) -> None:
        today = bank_time().date()
        self.say(
            number,
            "statement",
            id=f"st{number:06}",
            customer=f"cu{number:06}",
            card=f"tok_c_{number:06}",
            statement_date=(today - timedelta(days=20)).isoformat(),
            due_date=(today + timedelta(days=due_in_days)).isoformat(),
            currency="CNY",
            balance=100_000,
            minimum_due=20_000,
        )

    def pay(self, number: int, amount: int = 100_000) -> None:
        self._paid += 1
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.say(number, "repayment", id=f"pa{self._paid:06}", time=moment, amount=amount)


def by_bill(records: list[Read], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Read]:
    """Statement → the first record about it that is wanted."""
    found: dict[str, Read] = {}
    for record in records:
        value = record.json()
        bill = value.get("bill", value.get("subject", {})).get("statement")
        if bill is not None and wanted(value):
            found.setdefault(bill, record)
    return found


def steps(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda value: value.get("step") == name


def await_bills(installation: Installation, wanted: Callable[[dict[str, Any]], bool], number: int) -> dict[str, Read]:
    return by_bill(
        installation.outside.wait_for("contacts", lambda found: len(by_bill(found, wanted)) >= number, WAIT_S), wanted
    )


def shares(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"number": len(ordered), "p50": statistics.median(ordered), "p99": p99, "most": ordered[-1]}


def stop(installation: Installation) -> dict[str, Any]:
    billing, number_of_all = Billing(installation), WARMING + PAYMENTS
    numbers = range(number_of_all)
    for number in numbers:
        billing.bill(number, 0)
    installation.outside.flush()
    await_bills(installation, lambda value: value.get("step") == "deferred", number_of_all)
    started = time.perf_counter()
    for place, number in enumerate(numbers):
        time.sleep(max(0.0, started + place / PAYMENTS_PER_S - time.perf_counter()))
        billing.pay(number)
    installation.outside.flush()
    cancelled = await_bills(installation, lambda value: value.get("step") == "cancelled", number_of_all)
    taken_back = by_bill(installation.outside.read("contact-requests"), lambda value: "withdrawn" in value)
    paid = {
        f"st{record.json()['account'][2:]}": record
        for record in installation.outside.read("accounts")
        if record.json()["type"] == "repayment" and int(record.json()["account"][2:]) >= WARMING
    }
    at = [(paid[bill].timestamp, taken_back[bill].timestamp, cancelled[bill].timestamp) for bill in paid]
    return {
        "payment to cancelled, ms": shares([end - begin for begin, _, end in at]),
        "of it to the withdrawal": shares([middle - begin for begin, middle, _ in at]),
        "from there to cancelled": shares([end - middle for _, middle, end in at]),
    }


def late(installation: Installation) -> dict[str, Any]:
    """With a minute that begins in some seconds."""
    numbers = range(10_000, 10_000 + DUE_TOGETHER)
    for number in numbers:
        person = customer(f"cu{number:06}", f"+1202{number:07}") | {"notices": {"statement": False}}
        installation.outside.produce_json("customers", f"cu{number:06}", person)
    due = (bank_time() + timedelta(seconds=75)).replace(second=0, microsecond=0)
    plan = installation.config / "policies" / "reminders.toml"
    plan.write_text(PLAN.replace("MINUTE", f"{due:%H:%M}"))
    time.sleep(3 * SETTLE_S)
    billing = Billing(installation)
    for number in numbers:
        billing.bill(number, 1)
    installation.outside.flush()
    due_ms = round((due - timedelta(hours=8)).timestamp() * 1000)
    time.sleep(max(0.0, due_ms / 1000 - time.time()))
    names = {f"st{number:06}" for number in numbers}

    def started(value: dict[str, Any]) -> bool:
        return value.get("step") == "sending" and value.get("stage") == "minute"

    sending = await_bills(installation, started, DUE_TOGETHER)
    requests = by_bill(
        installation.outside.read("contact-requests"),
        lambda value: value["bill"]["statement"] in names and "withdrawn" not in value if "bill" in value else False,
    )
    return {
        "due to request, ms": shares([record.timestamp - due_ms for record in requests.values()]),
        "due to the first attempt, ms": shares([record.timestamp - due_ms for record in sending.values()]),
    }


class Events(threading.Thread):
    """Events of accounts at a steady rate, until it is ended."""

    def __init__(self, billing: Billing) -> None:
        super().__init__(name="events")
        self._billing = billing
        self._ended = threading.Event()

    def run(self) -> None:
        started, place = time.perf_counter(), 0
        while not self._ended.is_set():
            time.sleep(max(0.0, started + place / EVENTS_PER_S - time.perf_counter()))
            self._billing.pay(20_000 + place % ACCOUNTS, 1)
            place += 1

    def finish(self) -> None:
        self._ended.set()
        self.join()


def scorer(installation: Installation, bootstrap: str, pairs: int, seconds: float) -> dict[str, Any]:
    billing = Billing(installation)
    for number in range(20_000, 20_000 + ACCOUNTS):
        billing.bill(number, 9)
    installation.outside.flush()
    installation.start("scorer")
    decisions = Decisions(bootstrap, f"{installation.prefix}decisions", installation.partitions)
    decisions.start()
    found: dict[bool, list[Any]] = {True: [], False: []}
    try:
        line = Line(installation, decisions)
        line.measure(WARM_S)
        for pair in range(pairs):
            for beside in (True, False) if pair % 2 == 0 else (False, True):
                if beside != ("reminder" in installation.children):
                    if beside:
                        installation.start("reminder")
                    else:
                        installation.stop("reminder")
                    time.sleep(SETTLE_S)
                events = Events(billing)
                if beside:
                    events.start()
                found[beside].append(line.measure(seconds))
                if beside:
                    events.finish()
            one, other = found[False][-1], found[True][-1]
            print(f"{pair + 1:4}   {one.p50:.2f} / {one.p99:.2f}   {other.p50:.2f} / {other.p99:.2f}", flush=True)
    finally:
        decisions.finish()
    medians = {
        f"{name} {'beside' if beside else 'alone'}, ms": statistics.median(getattr(one, name) for one in found[beside])
        for name in ("p50", "p99")
        for beside in (False, True)
    }
    return medians | {"missing": sum(one.missing for measured in found.values() for one in measured)}


def within(found: dict[str, Any]) -> bool:
    """Whether all that was measured is within its limits."""
    good = True
    if "stop" in found:
        good &= found["stop"]["payment to cancelled, ms"]["p99"] <= STOP_P99_MS
    if "late" in found:
        good &= found["late"]["due to the first attempt, ms"]["most"] <= LATE_S * 1000
    if "scorer" in found:
        beside = found["scorer"]
        good &= not beside["missing"]
        for name, limit in (("p50", P50_RATIO), ("p99", P99_RATIO)):
            ratio = beside[f"{name} beside, ms"] / beside[f"{name} alone, ms"]
            print(f"{name}: {ratio:.2f} × (≤ {limit:g} ×)")
            good &= ratio <= limit
    return good


@contextmanager
def servers(libs: Path) -> Iterator[tuple[Installation, str]]:
    with tempfile.TemporaryDirectory() as directory:
        kafka = ApacheKafka(Path(directory) / "kafka", libs, java_options=("-Xms1g", "-Xmx1g"))
        rows = RedisServer(Path(directory) / "rows")
        store = RedisServer(Path(directory) / "store", appendfsync="always")
        work = Path(directory) / "work"
        work.mkdir()
        installation = None
        try:
            for server in (kafka, rows, store):
                server.start()
            urls = {"CARDWATCH_REDIS_URL": rows.url, "CARDWATCH_REDIS_CONTACT_URL": store.url}
            installation = Installation(work, kafka.bootstrap, store.url, environment=urls)
            profile = installation.config / "contact" / "short.toml"
            profile.write_text(profile.read_text().replace("[[ladder]]", LADDER + "[[ladder]]", 1))
            plan = installation.config / "policies" / "reminders.toml"
            plan.write_text(PLAN.replace("MINUTE", "00:00"))
            installation.start_telephony("--behaviour", "silence")
            yield installation, kafka.bootstrap
        finally:
            if installation is not None:
                installation.close()
            for server in (store, rows, kafka):
                server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kafka", type=Path)
    parser.add_argument("--parts", nargs="+", choices=("stop", "late", "scorer"), default=("stop", "late", "scorer"))
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with servers(options.kafka) as (installation, bootstrap):
        if {"stop", "late"} & set(options.parts):
            for role in ("contact", "reminder"):
                installation.start(role)
            time.sleep(2 * SETTLE_S)
        if "stop" in options.parts:
            found["stop"] = stop(installation)
            print(json.dumps(found["stop"], indent=1), flush=True)
        if "late" in options.parts:
            found["late"] = late(installation)
            print(json.dumps(found["late"], indent=1), flush=True)
        if "scorer" in options.parts:
            if "contact" in installation.children:
                installation.stop("contact")
            found["scorer"] = scorer(installation, bootstrap, options.pairs, options.seconds)
            print(json.dumps(found["scorer"], indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if within(found) else 1


if __name__ == "__main__":
    sys.exit(main())
