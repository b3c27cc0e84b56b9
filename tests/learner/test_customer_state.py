"""customer-state: told in time, the same whatever was cut off and read again, tagged by a file that may change."""

import asyncio
import random
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from learner_world import PLAN, Bank, figures_of
from learner_world import MemoryReader as Reads
from prometheus_client import CollectorRegistry

from models.calibrate import parse_prior
from models.scorer import Model
from pipeline.adapters.files import WatchedFile
from pipeline.adapters.memory import FixedClock, MemoryLog, MemoryReader, StoredRecord
from pipeline.core import customer_activity as rows_of
from pipeline.core.columns import SCHEMA
from pipeline.core.currencies import parse_rates
from pipeline.core.entities import EntityKeys, digest_of
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.policy import parse_policy
from pipeline.core.poll import Part, Row, Versions
from pipeline.core.records import CustomerState, Label
from pipeline.core.scored import Scored, decode, encode
from pipeline.core.scoring import score_poll
from pipeline.core.tag_table import TagTable
from pipeline.core.told import Gathered, open_told, seal_told
from pipeline.core.topics import CONTROL, CUSTOMER_STATE, LABELS, SCORED
from pipeline.core.transaction import Event, Transaction
from pipeline.ports import Outgoing
from pipeline.roles.learner.course import FeatureSpace
from pipeline.roles.learner.customer_metrics import CustomerMetrics
from pipeline.roles.learner.customers import AGAIN_S, LOOK_S, MOST_A_SECOND, CustomerPace, Customers
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.role import Learner
from pipeline.roles.learner.world import World

START = 1_790_000_000.0
NAMES = [feature.name for feature in CATALOGUE]
TAGS = """\
[[tag]]
name = "traveller"
when = "abroad_share > 0.4 and payments_30d > 2.5"
leave = "abroad_share < 0.2"
en = "abroad"
zh = "境外"
[[tag]]
name = "victim"
when = "frauds_open > 0"
en = "victim"
zh = "受害"
"""
DAY = 86_400.0
PACE = CustomerPace(told_s=3_600.0, idle_s=200 * DAY)


def scored(partition: int, first: int, pays: list[dict[str, Any]]) -> bytes:
    """Rows of ``pays`` (customer, card, at and features), source offsets from ``first`` on."""
    n = len(pays)
    matrix = np.array([[pay.get(name, 0.0) for name in NAMES] for pay in pays])
    zeros = np.zeros(n).tobytes()
    offsets = np.arange(first, first + n, dtype="<i8").tobytes()
    return encode(
        Scored(
            partition=partition, layout=LAYOUT, policy_version="p", model_version="m",
            ids=[f"t{partition}-{first + at}" for at in range(n)], cards=[pay["card"] for pay in pays], offsets=offsets,
            times=np.array([pay["at"] for pay in pays]).tobytes(), features=matrix.tobytes(), raw=zeros, percentile=zeros,
            score=np.array([pay.get("score", 0.01) for pay in pays]).tobytes(), terminals=zeros, merchants=zeros,
            customers=zeros, customer_ids=[pay["customer"] for pay in pays],
            declined=bytes(int(pay.get("declined", 0)) for pay in pays),
        )
    )  # fmt: skip


def pay(customer: str, at: float, **more: Any) -> dict[str, Any]:
    return {"customer": customer, "card": f"tok_{customer}", "at": at, "amount": 1_000.0, **more}


def label(transaction: str, customer: str, fraud: bool | None = True, source: str = "cardholder") -> bytes:
    said = Label(transaction=transaction, card=f"tok_{customer}", fraud=fraud, source=source,  # type: ignore[arg-type]
                 time=datetime.fromtimestamp(START, UTC).isoformat())  # fmt: skip
    return msgspec.json.encode(said)


class Place:
    """A bank's log and file of tags; ``customers`` are a learner's, anew each time it starts."""

    def __init__(self, path: Path, pace: CustomerPace = PACE, partitions: int = 2) -> None:
        self.log, self.clock, self.pace = MemoryLog(partitions), FixedClock(START), pace
        self.file = path / "tags.toml"
        self.file.write_text(TAGS)
        self.registry = CollectorRegistry()
        self.metrics = CustomerMetrics(self.registry)
        self.customers = self.anew()

    def anew(self) -> Customers:
        return Customers(
            lambda: MemoryReader(self.log, CUSTOMER_STATE), lambda: MemoryReader(self.log, SCORED), self.log, self.clock,
            WatchedFile(self.file), ZoneInfo("Asia/Shanghai"), self.metrics, self.pace,
        )  # fmt: skip

    async def put(self, partition: int, value: bytes) -> None:
        await self.log.append(SCORED, {partition: [Outgoing(None, value)]})
        self.customers.take(self.log.part(SCORED, partition)[-1])

    async def say(self, value: bytes) -> None:
        await self.log.append(LABELS, {0: [Outgoing(None, value)]})
        self.customers.label_record(self.log.part(LABELS, 0)[-1])

    async def tell(self, later_s: float = 1.0) -> list[str]:
        """The customers told of when it is so much later."""
        before = len(self.log.all(CUSTOMER_STATE))
        seen = {id(record) for record in self.log.all(CUSTOMER_STATE)}
        self.clock.time += later_s
        if self.customers.due():
            await self.customers.tell()
        told = [record for record in self.log.all(CUSTOMER_STATE) if id(record) not in seen]
        assert len(told) == len(self.log.all(CUSTOMER_STATE)) - before
        return [(record.key or b"").decode() for record in told]

    async def restart(self, reading: Mapping[int, int]) -> None:
        """Another learner takes over; its models have read `scored` up to ``reading``."""

        async def go_on() -> bool:
            return True

        self.customers = self.anew()
        await self.customers.begin(reading, go_on, 0.0, 1.0)
        for number, start in reading.items():
            for record in self.log.part(SCORED, number)[start:]:
                self.customers.take(record)

    def state(self, customer: str) -> CustomerState:
        """As told last."""
        found = [each for each in self.log.all(CUSTOMER_STATE) if each.key == customer.encode()]
        return msgspec.json.decode(found[-1].value or b"", type=CustomerState)


def test_what_is_told_and_when(tmp_path: Path) -> None:
    async def run() -> None:
        place = Place(tmp_path)
        home = pay("home", START, entry_mode_code=4.0, new_merchant=1.0)
        await place.put(0, scored(0, 0, [home, pay("", START), pay("away", START, declined=1)]))
        assert await place.tell() == ["home", "away"], "seen for the first time"
        assert await place.tell() == []
        for number in range(3):
            await place.put(
                0, scored(0, 10 + number, [pay("home", START + number), pay("away", START + number, abroad=1.0)])
            )
        assert await place.tell() == [], "not so soon again"
        assert await place.tell(AGAIN_S) == ["away"], "the tag is new; that the other paid can wait"
        assert await place.tell(3_400) == []
        assert await place.tell(200) == ["home"]
        assert place.state("away").tags == ["traveller"]
        told = place.state("home")
        assert told.activity is not None
        assert told.risk is not None
        assert (told.activity.level, told.activity.payments_30d, told.activity.amount_30d) == ("occasional", 4.0, 4_000)
        assert (told.activity.online_share, told.activity.new_merchants_30d, told.risk.band) == (0.25, 1.0, "low")
        assert told.as_of == datetime.fromtimestamp(START + 2, UTC).isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        )
        assert place.state("away").activity.declined_30d == 1.0  # type: ignore[union-attr]
        await place.put(1, scored(1, 0, [pay("home", START + 5, score=0.6)]))
        await place.tell(AGAIN_S)
        assert place.state("home").risk.band == "high"  # type: ignore[union-attr]
        figures = figures_of(place.registry)
        assert figures["cardwatch_customer_states_total/changed"] == 4
        assert figures["cardwatch_customer_states_total/activity"] == 1
        assert figures["cardwatch_customers"] == 2

    asyncio.run(run())


def test_nights_are_those_of_the_bank(tmp_path: Path) -> None:
    async def run() -> None:
        place = Place(tmp_path)
        hours = [datetime(2026, 9, 1, hour, 30, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() for hour in range(24)]
        await place.put(0, scored(0, 0, [pay(f"h{hour}", at) for hour, at in enumerate(hours)]))
        await place.tell()
        shares = [place.state(f"h{hour}").activity.night_share for hour in range(24)]  # type: ignore[union-attr]
        assert shares == [1.0] * 6 + [0.0] * 18

    asyncio.run(run())


def test_labels_are_told_of_and_matched_by_the_card(tmp_path: Path) -> None:
    async def run() -> None:
        place = Place(tmp_path)
        await place.put(0, scored(0, 0, [pay("a", START), pay("b", START)]))
        await place.tell()
        await place.say(label("t0-0", "a"))
        await place.say(label("t0-9", "nobody"))
        await place.say(b"not a label")
        await place.customers.tell_labelled()
        told = place.state("a")
        assert told.risk is not None
        assert (told.tags, told.risk.band, told.risk.frauds_open) == (["victim"], "high", 1)
        assert not place.customers.book.labelled
        await place.say(label("t0-0", "a", None))
        await place.customers.tell_labelled()
        assert place.state("a").tags == []
        assert figures_of(place.registry)["cardwatch_customer_labels_unmatched_total"] == 1

    asyncio.run(run())


def lived(seed: int, partitions: int) -> list[tuple[int, bytes]]:
    """Records of `scored` of a bank with few customers, each with a card in every partition."""
    draw, made, offsets = random.Random(seed), [], [0, 0]
    for step in range(40):
        partition, at = draw.randrange(partitions), START + step * DAY / 3
        pays = [
            pay(f"c{draw.randrange(5)}", at + draw.uniform(-DAY, DAY), amount=draw.uniform(0, 1e5), score=draw.random() ** 6,
                abroad=float(draw.random() < 0.4), declined=draw.random() < 0.2)
            for _ in range(draw.randrange(1, 5))
        ]  # fmt: skip
        for one in pays:
            one["card"] = f"tok_{partition}_{one['customer']}"
        made.append((partition, scored(partition, offsets[partition], pays)))
        offsets[partition] += len(pays)
    return made


def same(rows: Mapping[bytes, bytes], expected: Mapping[bytes, bytes], partitions: int) -> bool:
    """To the bit; with several partitions, which may be read in another order, but for rounding."""
    if partitions == 1 or rows.keys() != expected.keys():
        return dict(rows) == dict(expected)
    near = all(
        np.allclose(rows_of.figures(rows[one]), rows_of.figures(expected[one]), rtol=1e-5, atol=1e-7) for one in rows
    )
    tails = [{one: set(struct.iter_unpack("<Q", row[57:])) for one, row in each.items()} for each in (rows, expected)]
    return near and tails[0] == tails[1]


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_learner_killed_after_any_record_counts_nothing_twice_and_loses_nothing(
    tmp_path: Path, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.roles.learner.customer_book.MARK_RECORDS", 1)

    async def run() -> None:
        records = lived(1, partitions)
        undisturbed = Place(tmp_path)
        for partition, value in records:
            await undisturbed.put(partition, value)
        expected = undisturbed.customers.book.rows
        draw = random.Random(2)
        for cut in range(len(records) + 1):
            place = Place(tmp_path, CustomerPace(told_s=2.0))
            reading = {0: 0, 1: 0}
            for number, (partition, value) in enumerate(records):
                if number == cut:
                    await place.restart(reading)
                await place.put(partition, value)
                if draw.random() < 0.3:
                    await place.tell(draw.choice((1.0, 70.0)))
                if draw.random() < 0.2:  # a snapshot of the models
                    reading = {each: len(place.log.part(SCORED, each)) for each in (0, 1)}
            await place.restart(reading)
            assert same(place.customers.book.rows, expected, partitions), f"cut at {cut}"
            await place.restart({0: 0, 1: 0})
            assert same(place.customers.book.rows, expected, partitions), "and with models that begin anew"

    asyncio.run(run())


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_batch_of_which_only_a_part_arrived_loses_nothing(tmp_path: Path, kept: int) -> None:
    async def run() -> None:
        undisturbed, place = Place(tmp_path), Place(tmp_path, CustomerPace(told_s=2.0))
        for number, (partition, value) in enumerate(lived(3, 1)):
            await undisturbed.put(partition, value)
            await place.put(partition, value)
            if number % 5 == 4:
                whole = place.log.send

                async def part(topic: Any, records: Any, whole: Any = whole) -> None:
                    await whole(topic, list(records)[-kept:] if kept else [])
                    raise ConnectionError

                place.log.send = part  # type: ignore[method-assign]
                with pytest.raises(ConnectionError):
                    await place.tell(70.0)
                place.log.send = whole  # type: ignore[method-assign]
                await place.restart({0: len(place.log.part(SCORED, 0)), 1: 0})
                assert place.customers.book.rows == undisturbed.customers.book.rows
                await place.tell(70.0)

    asyncio.run(run())


def test_scored_says_whose_payment_it_was_and_whether_it_was_declined() -> None:
    def record(number: int, **more: Any) -> StoredRecord:
        fields = {"id": f"t{number}", "card": "tok_card0001", "amount": 900, "currency": "CNY"}
        fields["time"] = datetime.fromtimestamp(START + number, UTC).isoformat()
        return StoredRecord(0, number, int(START * 1_000), b"", msgspec.json.encode(fields | more))

    config = Path(__file__).parents[2] / "config"
    policy = parse_policy((config / "policies/default.toml").read_text(), "default.toml", SCHEMA)
    curve = parse_prior((config / "models/prior.toml").read_text(), "prior.toml")
    versions = Versions(policy, Model.day_one(LAYOUT, curve), parse_rates((config / "rates.toml").read_text(), "rates"))

    def blocks(*records: StoredRecord) -> Scored:
        poll = score_poll([Part(0, records, {}, {})], versions, lambda card: 0, START, lambda: 0.0)
        return decode(poll.scored[0][0].value)

    both = blocks(record(1, customer="c1"), record(2, response_code="05"), record(3, customer="c2", kind="refund"))
    assert (list(both.customer_ids), both.declined) == (["c1", ""], b"\x00\x01")
    assert list(blocks(record(1, account="a1")).customer_ids) == [], "an account is no customer"


def test_little_is_read_again_and_a_scorer_that_wrote_twice_changes_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        place = Place(tmp_path, CustomerPace(told_s=1.0))
        for number in range(200):
            await place.put(0, scored(0, number, [pay("a", START + number)]))
            if number % 10 == 9:
                await place.tell(61.0)
        assert place.customers.book.floor == {0: 200}
        rows = dict(place.customers.book.rows)
        await place.put(0, scored(0, 150, [pay("a", START + number) for number in range(150, 200)]))
        assert place.customers.book.rows == rows
        before = place.customers.book.floor
        await place.put(0, scored(0, 200, [pay("a", START + 200)]))
        await place.tell(61.0)
        await place.restart({0: 202, 1: 0})
        assert place.customers.book.floor == before, "read again from the last batch's place, not from the beginning"
        assert place.customers.book.rows != rows

    asyncio.run(run())


def test_labels_survive_a_restart_once_they_were_told(tmp_path: Path) -> None:
    async def run() -> None:
        place = Place(tmp_path)
        await place.put(0, scored(0, 0, [pay("a", START)]))
        await place.say(label("t0-0", "a"))
        await place.customers.tell_labelled()
        rows = dict(place.customers.book.rows)
        await place.restart({0: 1, 1: 0})
        assert place.customers.book.rows == rows
        place.customers.label_record(place.log.part(LABELS, 0)[-1])
        assert figures_of(place.registry)["cardwatch_customer_labels_unmatched_total"] == 0, "cards are known again"
        for again in place.log.part(LABELS, 0):
            place.customers.label_record(again)
        assert place.customers.book.rows == rows, "told again: the same"
        assert not place.customers.due()

    asyncio.run(run())


def test_a_changed_file_of_tags_counts_at_once_and_a_wrong_one_never(tmp_path: Path) -> None:
    async def run() -> None:
        place = Place(tmp_path)
        for number in range(4):
            await place.put(0, scored(0, number, [pay("a", START + number, abroad=1.0)]))
        await place.tell()
        assert place.state("a").tags == ["traveller"]
        place.file.write_text(TAGS.replace("payments_30d", "payment_30d"))
        await place.tell(LOOK_S)
        await place.put(0, scored(0, 4, [pay("a", START + 4)]))
        await place.tell(3_600)
        assert place.state("a").tags == ["traveller"], "the running ones stay"
        assert figures_of(place.registry)["cardwatch_tags_refused_total"] == 1
        await place.put(0, scored(0, 5, [pay("a", START + number) for number in range(5, 12)]))
        more = '[[tag]]\nname = "eager"\nwhen = "payments_30d > 3"\nen = "eager"\nzh = "积极"\n'
        place.file.write_text(more + TAGS)
        await place.put(0, scored(0, 12, [pay("a", START + 12)]))
        await place.tell(3_600)
        await place.put(0, scored(0, 13, [pay("a", START + 13)]))
        await place.tell(3_600)
        assert place.state("a").tags == ["eager", "traveller"], "what was held is held still, though its place moved"
        place.file.write_text(more)
        await place.restart({0: 7, 1: 0})
        await place.put(0, scored(0, 14, [pay("a", START + 14)]))
        await place.tell(3_600)
        assert place.state("a").tags == ["eager"]

    asyncio.run(run())


def known(topic: list[Outgoing], key: bytes) -> TagTable:
    """What a scorer makes of records of ``control``."""
    table = TagTable()
    for record in topic:
        if (record.key or b"").startswith(b"told:tags:"):
            table.take(open_told(record.value or b"", key))
    return table


def tags_of(table: TagTable, customer: str) -> set[str]:
    digests = np.array([digest_of(customer)], dtype=np.uint64)
    paying = Transaction(id="t", card="c", customer=customer, time="", amount=1, currency="CNY")
    given = Row(None, Event(paying, 0.0, 1.0), False)  # type: ignore[arg-type]
    held = table.held(EntityKeys(np.zeros(1), digests, digests, digests, digests), [given])
    return {name for name in held.names if held.holds(name)[0] == 1.0}


def test_scorers_are_told_of_tags_as_they_change_and_again_after_a_restart(tmp_path: Path) -> None:
    async def run() -> None:
        place, topic, gathered = Place(tmp_path), list[Outgoing](), Gathered()

        def tell() -> TagTable:
            for told in place.customers.tellings(1):
                topic.append(seal_told(told, b"k" * 16))
                gathered.take(told)
            return known(topic, b"k" * 16)

        for number in range(4):
            await place.put(0, scored(0, 2 * number, [pay("a", START + number, abroad=1.0), pay("b", START + number)]))
        assert (tags_of(tell(), "a"), tags_of(tell(), "b")) == ({"traveller"}, set())
        before = len(topic)
        await place.put(0, scored(0, 8, [pay("a", START + 9, abroad=1.0), pay("b", START + 9)]))
        tell()
        assert len(topic) == before, "nothing changed: nothing is told"
        await place.say(label("t0-1", "b"))
        assert tags_of(tell(), "b") == {"victim"}
        await place.tell()
        place.customers = place.anew()

        async def go_on() -> bool:
            return True

        place.file.write_text(TAGS.replace('"victim"', '"defrauded"'))
        place.customers = place.anew()
        await place.customers.begin({0: 5, 1: 0}, go_on, 0.0, 1.0, gathered)
        assert (tags_of(tell(), "a"), tags_of(tell(), "b")) == ({"traveller"}, set()), "that tag is no more"
        await place.put(0, scored(0, 10, [pay("b", START + 10)]))
        assert tags_of(tell(), "b") == {"defrauded"}

    asyncio.run(run())


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        place = Place(tmp_path)
        people = [f"c{number}" for number in range(MOST_A_SECOND + 500)]
        await place.put(0, scored(0, 0, [pay(one, START) for one in people]))
        assert len(await place.tell(30.0)) == MOST_A_SECOND
        assert len(await place.tell(1.0)) == 500
        await place.put(0, scored(0, 9_000, [pay("c7", START + 201 * DAY)]))
        await place.tell(3_601)
        assert len(place.customers.book.rows) == 500, "the idle go, some thousand at a time"
        assert list(place.customers.book.rows)[-1] == b"c7"
        place.customers.take(place.log.part(SCORED, 0)[0])
        assert len(place.customers.book.rows) == 500, "what was read is read, whoever was let go of"
        monkeypatch.setattr("pipeline.roles.learner.customer_book.MOST_CUSTOMERS", 3)
        await place.put(0, scored(0, 9_001, [pay(one, START + 201 * DAY) for one in ("c8", "c9", "c10")]))
        await place.tell(AGAIN_S)
        assert list(place.customers.book.rows) == [b"c8", b"c9", b"c10"], "those who paid longest ago go first"

    asyncio.run(run())


def test_the_learner_tells_of_customers_and_finds_them_again(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "tags.toml").write_text(TAGS)
        space = FeatureSpace(len(CATALOGUE), LAYOUT)
        bank = Bank(plan=PLAN, space=space)
        bank.clock.time = START

        def learner_with(idle: Any) -> tuple[Learner, CollectorRegistry]:
            world = World(
                lambda: Reads(bank.log, SCORED, idle), lambda: Reads(bank.log, CONTROL), bank.log, bank.lease,  # type: ignore[arg-type]
                bank.clock, lambda: Reads(bank.log, LABELS),
            )  # fmt: skip
            registry = CollectorRegistry()
            customers = Customers(
                lambda: Reads(bank.log, CUSTOMER_STATE), lambda: Reads(bank.log, SCORED), bank.log, bank.clock,  # type: ignore[arg-type]
                WatchedFile(tmp_path / "tags.toml"), ZoneInfo("UTC"), CustomerMetrics(registry), CustomerPace(told_s=0.001),
            )  # fmt: skip
            return Learner(
                world, space, bank.plan, bank.key, LearnerMetrics(registry), bank.pace, customers=customers
            ), registry

        bank.learner = learner_with  # type: ignore[method-assign]
        for number in range(60):
            bank.log.put(
                SCORED, scored(0, 2 * number, [pay("a", START + number), pay("b", START + number, abroad=1.0)])
            )
        figures = await bank.until_idle()
        assert figures["cardwatch_customers"] == 2
        told = {entry.key: msgspec.json.decode(entry.value or b"") for entry in bank.log.of(CUSTOMER_STATE)}
        assert told[b"b"]["tags"] == ["traveller"]
        table = known(bank.log.of(CONTROL), bank.key)
        assert (tags_of(table, "a"), tags_of(table, "b")) == (set(), {"traveller"})
        bank.clock.time += AGAIN_S
        bank.log.put(LABELS, label("t0-0", "a"))
        bank.log.put(SCORED, scored(0, 120, [pay("a", START + 61)]))
        await bank.until_idle()
        told = {entry.key: msgspec.json.decode(entry.value or b"") for entry in bank.log.of(CUSTOMER_STATE)}
        assert told[b"a"]["tags"] == ["victim"]
        assert told[b"a"]["activity"]["payments_30d"] == 61.0, "counted once each, over a restart"

    asyncio.run(run())
