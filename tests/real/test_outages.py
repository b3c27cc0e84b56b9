"""Every outage a scorer must live through: one decision per transaction, the rows of an uninterrupted run, memory that
stays bounded, and a metric that shows it.

Short in CI; `make proof-outages` makes each outage CARDWATCH_PROOF_OUTAGE_S seconds long and prints the table.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from outages import CARDS, HEADER, UNANSWERED, Course, Told, Traffic
from outside import Read
from servers import ApacheKafka, RedisServer
from slow_proxy import SlowProxy

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

AWAY_S = float(os.environ.get("CARDWATCH_PROOF_OUTAGE_S", "3"))
RATE = float(os.environ.get("CARDWATCH_PROOF_OUTAGE_RATE", "200"))
PAUSED_S = 7.0
"""Beyond the session's 6 s."""
BAD = 10_000
SLOW_S = 0.5
GROWN_MB = 64.0
"""What a scorer's memory may grow by in any outage of these: the rows that wait to be saved are those in memory, and a
copy of what one checkpoint carries comes on top."""


@pytest.fixture(scope="module")
def store_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def store(store_files: Path) -> Iterator[RedisServer]:
    server = RedisServer(store_files)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, kafka_libs: Path) -> Iterator[ApacheKafka]:
    """One of its own: a killed broker is let in again when its registration has run out, 9 s by default."""
    server = ApacheKafka(
        tmp_path_factory.mktemp("broker"),
        kafka_libs,
        {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"},
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def proxy(store: RedisServer) -> Iterator[SlowProxy]:
    """Between the scorer and the store, all along."""
    host, _, port = store.url.removeprefix("redis://").removesuffix("/0").partition(":")
    proxy = SlowProxy((host, int(port)))
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def whole_course(tmp_path_factory: pytest.TempPathFactory, broker: ApacheKafka, store: RedisServer) -> Iterator[Course]:
    installation = Installation(tmp_path_factory.mktemp("installation"), broker.bootstrap, store.url)
    course = Course(installation, broker.bootstrap, RATE)
    yield course
    print(f"\n{HEADER}")
    for told in course.told:
        print(told.line())
    installation.close()


@pytest.fixture
def course(whole_course: Course, proxy: SlowProxy) -> Course:
    """With a scorer that is ready, whatever the test before left."""
    installation = whole_course.installation
    if "scorer" not in installation.children or installation.children["scorer"].exit_code is not None:
        installation.start("scorer", environment={"CARDWATCH_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"})
    return whole_course


def assert_nothing_lost(told: Told, *, repeats: bool, restarts: bool = False) -> None:
    assert (told.lost, told.doubled) == (0, 0)
    assert repeats or told.repeats == 0, "nothing had to be decided again"
    assert restarts or told.restarts == 0, "the scorer lives through it"
    assert told.most["unsaved_profiles"] <= 2 * CARDS, "what is set apart to be saved, and what changed since"
    assert told.peak_mb - told.before_mb < GROWN_MB


# --- the store


def test_redis_away(course: Course, store: RedisServer) -> None:
    def away(traffic: Traffic) -> None:
        store.kill()
        time.sleep(AWAY_S)
        store.start()

    told = course.through(Told("Redis away", "decides, saves later", "checkpoint_age_seconds"), away)
    assert_nothing_lost(told, repeats=False)
    assert told.most["checkpoint_age_seconds"] >= 0.7 * AWAY_S, "the outage shows"
    assert told.waited_s < AWAY_S, "decisions did not wait for the store"


def test_redis_frozen(course: Course, store: RedisServer) -> None:
    def frozen(traffic: Traffic) -> None:
        store.pause()
        time.sleep(AWAY_S)
        store.resume()

    told = course.through(Told("Redis frozen", "decides, saves later", "checkpoint_age_seconds"), frozen)
    assert_nothing_lost(told, repeats=False)
    assert told.most["checkpoint_age_seconds"] >= 0.7 * AWAY_S
    assert told.waited_s < AWAY_S


def test_redis_out_of_memory(course: Course, store: RedisServer) -> None:
    client = course.installation.redis

    def full(traffic: Traffic) -> None:
        client.config_set("maxmemory", "1")
        time.sleep(AWAY_S)
        client.config_set("maxmemory", "0")

    told = course.through(Told("Redis out of memory", "decides, saves later", "checkpoint_age_seconds"), full)
    assert_nothing_lost(told, repeats=False)
    assert told.most["checkpoint_age_seconds"] >= 0.7 * AWAY_S
    assert told.most["checkpoints_failed_total"] >= 1


def test_redis_slow(course: Course, proxy: SlowProxy) -> None:
    def slow(traffic: Traffic) -> None:
        proxy.delay_s = SLOW_S
        time.sleep(AWAY_S)
        proxy.delay_s = 0.0

    told = course.through(Told("Redis slow", "decides, saves seldom", "checkpoint_age_seconds"), slow)
    assert_nothing_lost(told, repeats=False)
    assert told.most["checkpoint_age_seconds"] >= SLOW_S
    assert told.waited_s < AWAY_S, "decisions did not wait for the store"


def test_redis_back_without_its_last_second(course: Course, store: RedisServer, store_files: Path) -> None:
    def older(traffic: Traffic) -> None:
        kept = store_files.with_name("a-second-ago")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(store_files, kept)
        time.sleep(1.0)
        store.kill()
        shutil.rmtree(store_files)
        shutil.copytree(kept, store_files)
        store.start()

    told = course.through(Told("Redis back a second old", "loads, reads again", "checkpoints_failed_total"), older)
    assert_nothing_lost(told, repeats=True)
    assert 0 < told.repeats <= 4 * RATE
    assert told.most["checkpoints_failed_total"] >= 1


def test_redis_back_empty(course: Course, store: RedisServer, store_files: Path) -> None:
    def empty(traffic: Traffic) -> None:
        store.kill()
        shutil.rmtree(store_files)
        store_files.mkdir()
        store.start()

    told = course.through(Told("Redis back empty", "reads the log again", "checkpoints_failed_total"), empty)
    assert_nothing_lost(told, repeats=True)
    assert told.repeats > 0
    assert told.most["checkpoints_failed_total"] >= 1


# --- the broker


def test_broker_killed_and_started_again(course: Course, broker: ApacheKafka) -> None:
    def killed(traffic: Traffic) -> None:
        broker.kill()
        time.sleep(AWAY_S)
        broker.start()

    told = course.through(Told("Kafka killed", "waits, then goes on", "broker_silent_seconds"), killed)
    assert_nothing_lost(told, repeats=True, restarts=True)
    assert told.most["broker_silent_seconds"] >= 0.5 * AWAY_S, "the outage shows"


def test_broker_frozen(course: Course, broker: ApacheKafka) -> None:
    def frozen(traffic: Traffic) -> None:
        broker.pause()
        time.sleep(AWAY_S)
        broker.resume()

    told = course.through(Told("Kafka frozen", "waits, then goes on", "broker_silent_seconds"), frozen)
    assert_nothing_lost(told, repeats=True, restarts=True)
    assert told.most["broker_silent_seconds"] >= 0.5 * AWAY_S, "the outage shows"


# --- the worker


def test_worker_paused_beyond_its_session(course: Course) -> None:
    def paused(traffic: Traffic) -> None:
        course.installation.freeze("scorer")
        time.sleep(max(PAUSED_S, AWAY_S))
        course.installation.wake("scorer")

    told = course.through(Told("worker paused", "rejoins, goes on", UNANSWERED), paused)
    assert_nothing_lost(told, repeats=True)
    assert told.most[UNANSWERED] >= 1, "a paused worker answers no scrape"


def test_worker_paused_while_another_takes_over(course: Course) -> None:
    course.installation.start("scorer", "scorer-1")

    def paused(traffic: Traffic) -> None:
        course.installation.freeze("scorer")
        time.sleep(max(PAUSED_S, AWAY_S))
        course.installation.wake("scorer")

    try:
        told = course.through(Told("worker paused, another takes over", "hands over", UNANSWERED), paused, 2.0)
    finally:
        course.installation.stop("scorer-1")
    assert_nothing_lost(told, repeats=True)
    assert told.most[UNANSWERED] >= 1


# --- the input


def test_a_burst_of_bad_messages_between_good_ones(course: Course) -> None:
    installation = course.installation
    before = len(installation.outside.read("dead-letters"))

    def burst(traffic: Traffic) -> None:
        for number in range(BAD):
            value = b'{"id": "bad", "card": "tok_o_000000000000", "number": %d' % number
            installation.outside.produce("transactions", b"bad", value, partition=number % installation.partitions)
        installation.outside.flush()

    told = course.through(Told(f"{BAD:,} bad messages", "puts them aside", "dead_letters_total"), burst)
    assert_nothing_lost(told, repeats=False)
    letters = [letter.json() for letter in installation.outside.read("dead-letters")[before:]]
    bad = {(r.partition, r.offset) for r in installation.outside.read("transactions") if unreadable(r)}
    places = Counter((letter["partition"], letter["offset"]) for letter in letters)
    assert set(places) == bad
    assert set(places.values()) == {1}
    assert told.log_lines < BAD // 100, "no line for each message"
    assert told.most["dead_letters_total"] >= BAD


def unreadable(record: Read) -> bool:
    return not (record.value or b"").endswith(b"}")
