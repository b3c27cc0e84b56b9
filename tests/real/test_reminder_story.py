"""One bill's story on real Kafka and Redis, told by both roles and the simulated telephone provider: statement → a call →
"I'll pay today" → the day passes → broken → a reminder → a part paid → a reminder of what is left → paid → thanks.

The reminder role is killed with -9 between them, and what stands on the topics, in the provider's own record and in the
amounts is the same. Nobody's clock is touched: the bank is in a time zone of its own, and when its day is to end the
plan is given another one, in which midnight is seconds away. `make proof-reminder-story` plays it undisturbed,
and with both roles killed between any two steps.
"""

import os
import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from installation import CALLBACK_SECRET, ROOT, SHORT_TIMES, Installation
from outside import Read
from servers import ApacheKafka, RedisServer
from test_loop import customer

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

ROUNDS = int(os.environ.get("CARDWATCH_PROOF_ROUNDS", "1"))
BOTH = bool(os.environ.get("CARDWATCH_PROOF_BOTH_ROLES"))
SEED = int(os.environ.get("CARDWATCH_PROOF_SEED", "20261124"))
KILLED_AFTER = os.environ.get("CARDWATCH_PROOF_KILLED_AFTER", "promise pay_part").split()
"""Of the steps: in CI the two that something must not be forgotten of while nobody is there."""
WAIT_S = 120.0
SLACK_S = 0.2, 0.7
"""Until it is killed; what is counted is counted by then."""
SOON = timedelta(seconds=2)
LADDER = """
[[ladder]]
classes = ["reminder"]
channel = "voice"

[[ladder]]
classes = ["reminder"]
channel = "sms"
wait_s = 5.0
"""
SHORT_PAUSE = "import pipeline.core.agenda\n\npipeline.core.agenda.NEXT_MS = 500\n"
"""Between two contacts of one customer a minute passes: in CI, half a second, set as each process starts."""
PLAN = """
name = "story"
zone = "ZONE"

[[product]]
name = "card"
tolerance = 1000
grace_days = 3
posting_grace_days = 0

[[product]]
name = "loan"
tolerance = 1000
grace_days = 3
posting_grace_days = 0

[[stage]]
name = "due"
day = 0
until_day = 0
at = "00:00"
class = "reminder"
template = "due"
channels = ["voice"]

[[stage]]
name = "late"
day = 1
until_day = 3
at = "00:00"
class = "reminder"
template = "overdue"
channels = ["sms"]

[[stage]]
name = "again"
day = 1
until_day = 3
at = "06:00"
class = "reminder"
template = "overdue"
channels = ["sms"]

[thanks]
channels = ["sms"]

[spread]
start = "00:00"
end = "24:00"
"""


def time_zone(offset: timedelta) -> bytes:
    """A TZif file (RFC 8536) of a zone that is always so far ahead of UTC."""
    block = struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lBB", round(offset.total_seconds()), 0, 0) + b"BNK\0"
    header = b"TZif2" + bytes(15)
    return header + block + header + block + b"\n\n"


class BankClock:
    """What the bank's clock shows is what the plan's zone says."""

    def __init__(self, installation: Installation, zones: Path) -> None:
        self._plan = installation.config / "policies" / "reminders.toml"
        self._zones = zones
        self._set = 0
        self.today = datetime.now(UTC).replace(tzinfo=None, hour=20, minute=0)
        if self.today - datetime.now(UTC).replace(tzinfo=None) > timedelta(hours=12):
            self.today -= timedelta(days=1)
        self.show(self.today)

    def show(self, shown: datetime) -> None:
        """From now on it is this late."""
        name = f"Day{self._set}"
        self._set += 1
        (self._zones / name).write_bytes(time_zone(shown - datetime.now(UTC).replace(tzinfo=None)))
        fresh = self._plan.with_suffix(".new")
        fresh.write_text(PLAN.replace("ZONE", name))
        fresh.replace(self._plan)

    def tomorrow(self, hour: int) -> None:
        """Have it be ``hour`` o'clock tomorrow, in a moment."""
        midnight = (self.today + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.show(midnight + timedelta(hours=hour) - SOON)


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    zones = tmp_path / "zones"
    zones.mkdir()
    if not BOTH:
        (tmp_path / "sitecustomize.py").write_text(SHORT_PAUSE)
    made = Installation(
        tmp_path,
        kafka.bootstrap,
        redis_server.url,
        environment={"PYTHONTZPATH": f"{zones}:/usr/share/zoneinfo", "PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )
    profile = made.config / "contact" / "short.toml"
    times = SHORT_TIMES.replace("ring_s = 2.0", "ring_s = 30.0")  # until the agent has typed it in
    profile.write_text(times + LADDER + profile.read_text().removeprefix(SHORT_TIMES))
    port = made.environment["CARDWATCH_CALLBACK_PORT"]
    made.start_telephony("--behaviour", "interactive", "--callback-url", f"http://127.0.0.1:{port}/callbacks")
    made.environment |= {
        "CARDWATCH_SMS_VIA": "webhook",
        "CARDWATCH_WEBHOOK_URL": f"{made.environment['CARDWATCH_VOICE_URL']}/v1/messages",
        "CARDWATCH_WEBHOOK_SECRET": CALLBACK_SECRET,
    }
    yield made
    made.close()


class Told(NamedTuple):
    """A step of ``contacts``; ``word``: its answer, reason or channel."""

    stage: str
    step: str
    word: str = ""


CALL = (("planned", ""), ("sending", "voice"), ("accepted", "voice"))
TEXT = (("planned", ""), ("sending", "sms"), ("accepted", "sms"), ("delivered", "sms"), ("completed", "delivered"))
STORY = (
    *(Told("due", *each) for each in CALL),
    Told("due", "answered", "promise"),
    Told("due", "completed", "promise"),
    Told("late", "cancelled", "missed"),
    *(Told(stage, *each) for stage in ("broken", "again", "thanks") for each in TEXT),
)
"""Every step, in order; a contact that waits for the pause after the one before is deferred besides."""
TEXTS = (("broken", "200.00"), ("again", "150.00"), ("thanks", "950.00"))
COUNTED = {
    'reminder_requests_total{class="reminder",stage="due"}': 1,
    'reminder_requests_total{class="reminder",stage="grace"}': 2,
    'reminder_promises_total{state="open"}': 1,
    'reminder_promises_total{state="broken"}': 1,
    "reminder_thanks_total": 1,
}


class Story:
    """The customer, the bank's billing, and what they see."""

    def __init__(self, installation: Installation, clock: BankClock) -> None:
        self._installation = installation
        self._clock = clock

    def _account(self, kind: str, **more: Any) -> None:
        self._installation.outside.produce_json("accounts", "ac1", {"type": kind, "account": "ac1", **more})
        self._installation.outside.flush()

    def bill(self) -> None:
        day = self._clock.today.date()
        self._account(
            "statement",
            id="st1",
            customer="cu1",
            card="tok_t_000000000cu1",
            statement_date=(day - timedelta(days=20)).isoformat(),
            due_date=day.isoformat(),
            currency="CNY",
            balance=100_000,
            minimum_due=20_000,
        )
        self.wait("due", "accepted")

    def promise(self) -> None:
        """To the agent who is on the phone, and types it in."""
        contact = next(step["contact"] for step in self.steps() if step["stage"] == "due")
        said = {
            "contact": contact,
            "answer": "promise",
            "by": self._clock.today.date().isoformat(),
            "channel": "voice",
            "assurance": "agent",
            "time": datetime.now(UTC).isoformat(),
        }
        self._installation.outside.produce_json("answers", contact, said)
        self._installation.outside.flush()
        self.wait("due", "completed")
        self.wait_for_record(b'"promise":')

    def day_passes(self) -> None:
        self._clock.tomorrow(0)
        self.wait("broken", "completed")

    def pay_part(self) -> None:
        self._account("repayment", id="pa1", time=rfc(), amount=5_000)
        self.wait_for_record(b"pa1")

    def six_o_clock(self) -> None:
        self._clock.tomorrow(6)
        self.wait("again", "completed")

    def pay(self) -> None:
        self._account("repayment", id="pb1", time=rfc(), amount=95_000)
        self.wait("thanks", "completed")

    def steps(self) -> list[dict[str, Any]]:
        """Of ``contacts``, each once."""
        once = {record.headers["record_id"]: record.json() for record in self._installation.outside.read("contacts")}
        return list(once.values())

    def wait(self, stage: str, step: str) -> None:
        def there(_: list[Read]) -> bool:
            return any(one.get("stage", "").startswith(stage) and one["step"] == step for one in self.steps())

        self._installation.outside.wait_for("contacts", there, WAIT_S)

    def wait_for_record(self, what: bytes) -> None:
        """Wait until the account's record has ``what``: the role has taken it in."""
        key, deadline = f"{self._installation.prefix}contact:note:a:ac1", time.monotonic() + WAIT_S
        while what not in (self._installation.redis.get(key) or b""):
            assert time.monotonic() < deadline, f"the account's record has no {what!r} yet"
            time.sleep(0.05)

    def told(self) -> list[Told]:
        return [
            Told(
                one["stage"].split("_")[0],
                one["step"],
                one.get("answer") or one.get("reason") or one.get("channel") or "",
            )
            for one in self.steps()
            if one["step"] != "deferred"
        ]


def wait_for_marks(installation: Installation) -> None:
    """Wait until it is known of every partition of ``accounts`` how far it was read: nothing is told before."""
    names = [f"{installation.prefix}contact:note:f:{number}" for number in range(installation.partitions)]
    deadline = time.monotonic() + WAIT_S
    while installation.redis.exists(*names) < len(names):
        assert time.monotonic() < deadline, "nobody says how far accounts were read"
        time.sleep(0.1)


def rfc() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Counts:
    """Counters of the reminder role over all its lives."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._sums: Counter[str] = Counter()

    def add(self) -> None:
        """What the role says that is running; before it is killed, and at the end."""
        lines = self._installation.metrics("reminder").splitlines()
        for name in COUNTED:
            self._sums[name] += sum(
                round(float(each.split()[-1])) for each in lines if each.startswith(f"cardwatch_{name} ")
            )

    def all(self) -> dict[str, int]:
        return dict(self._sums)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_role_killed_between_steps_changes_nothing_of_the_story(
    installation: Installation, tmp_path: Path, round_: int
) -> None:
    clock = BankClock(installation, tmp_path / "zones")
    for role in ("contact", "reminder"):
        installation.launch(role)
    for role in ("contact", "reminder"):
        installation.wait_until_ready(role)
    person = customer("cu1", "+12025550101") | {"notices": {"statement": False}}
    installation.outside.produce_json("customers", "cu1", person)
    installation.outside.flush()
    installation.wait_for_directory(1)
    wait_for_marks(installation)
    story, counts, drawn = Story(installation, clock), Counts(installation), random.Random(SEED + round_)
    for step in (story.bill, story.promise, story.day_passes, story.pay_part, story.six_o_clock, story.pay):
        step()
        if step.__name__ not in KILLED_AFTER:
            continue
        installation.wait_until_ready("reminder")  # if it was killed just before
        time.sleep(drawn.uniform(*SLACK_S))
        counts.add()
        for role in ("reminder", "contact") if BOTH else ("reminder",):
            installation.kill(role)
            installation.launch(role)
    counts.add()
    assert story.told() == list(STORY)
    texts = [line["order"]["text"] for line in installation.rung() if line["event"] == "message"]
    assert len(texts) == len(TEXTS), texts
    for text, (stage, amount) in zip(texts, TEXTS, strict=True):
        assert amount in text, f"{stage}: {text}"
    rings = Counter(line["key"] for line in installation.rung() if line["event"] == "ring")
    assert list(rings.values()) == [1], "rung more than once"
    assert counts.all() == COUNTED
    assert not installation.outside.read("dead-letters")
    done = 'cardwatch_contacts_total{channel="sms",class="reminder",result="completed"} 3.0'
    assert BOTH or done in installation.metrics("contact")
