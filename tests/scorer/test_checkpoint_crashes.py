"""A fault at every single command that an owner sends to the store: whatever it is, the rows end as those of an
uninterrupted run, and no card that has a row is ever taken for a new one."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as AnswerLost
from scorer_world import letters_of, row_of

from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.core.profile_row import EMPTY_ROW
from pipeline.embedded.store import EmbeddedStore
from pipeline.ports import StoreDown
from pipeline.roles.scorer import owned as owned_module
from pipeline.roles.scorer.owned import DAY_S, OwnedPartition, own, wake_all

DAYS = 400
POLL = 7
_drawn = random.Random(20261123)
_numbers = itertools.count()


def _record(offset: int) -> tuple[bytes, bytes, float]:
    """Card, letter, event time in days. For a while some cards rest, for longer than `DAYS`; then they come back."""
    resting = 10 <= offset < 25
    card = b"tok_%d" % (_drawn.randrange(3) if resting else _drawn.randrange(9))
    return card, b"%c" % (ord("a") + offset % 26), offset + (1_000.0 if offset >= 10 else 0.0)


LOG = [_record(offset) for offset in range(35)]


def _uninterrupted() -> tuple[list[bytes], dict[bytes, bytes]]:
    """What each record finds in its card's row, and the rows at the end."""
    found, letters = [], dict[bytes, bytes]()
    for card, letter, _ in LOG:
        found.append(letters.get(card, b""))
        letters[card] = found[-1] + letter
    return found, letters


FOUND, END = _uninterrupted()


class Dead(Exception):
    """The process is gone: nothing it does reaches the store any more."""


async def always() -> bool:
    return True


def read(owned: OwnedPartition, until: int) -> None:
    """One poll: what the scorer does with rows, without what it does with decisions."""
    for offset in range(owned.next or 0, until):
        card, letter, day = LOG[offset]
        before = letters_of(owned.rows.get(card, EMPTY_ROW))
        assert before == FOUND[offset], f"record {offset} of {card!r} met another row"
        owned.rows[card] = owned.dirty[card] = row_of(before + letter, day * DAY_S)
    owned.next = until


async def work(store: RedisProfiles) -> None:
    """A worker from taking the partition to its last record saved, whatever the store answers. It looks for dormant
    rows between any two saves."""
    owned: OwnedPartition | None = None
    while True:
        if owned is None or owned.lost:
            owned = await own(store, 0, None, always)
        until = min((owned.next or 0) + POLL, len(LOG))
        cards = {card for card, _, _ in LOG[owned.next or 0 : until]}
        await wake_all(store, [(owned, cards)])
        if owned.lost:
            continue
        read(owned, until)
        if owned.behind:
            await owned.save(store)
        for _ in range(2):
            if not owned.lost:
                with suppress(StoreDown):
                    await owned.sweep(store, 1e12, DAYS)
        if not owned.behind and owned.next == len(LOG):
            return


Fault = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class Faulty:
    """A client that does something else at its ``at``-th command; counts them, and does ``before`` each up to there."""

    def __init__(self, client: Redis, at: int, fault: Fault, before: Callable[[], Awaitable[None]]) -> None:
        self.commands = 0
        self.before = before
        self.late: tuple[int, Callable[[], Awaitable[Any]]] | None = None
        self.original = client.execute_command
        self.at = at
        self.fault = fault
        client.execute_command = self.execute  # type: ignore[method-assign]

    async def execute(self, *words: Any, **options: Any) -> Any:
        self.commands += 1
        if self.commands <= self.at:
            await self.before()
        if self.late is not None and self.commands == self.late[0]:
            await self.late[1]()
        if self.commands == self.at:
            return await self.fault(lambda: self.original(*words, **options))
        return await self.original(*words, **options)


@pytest.fixture
def url(valkey: EmbeddedStore) -> str:
    return valkey.url


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned_module, "RETRY_S", 0.0)


def profiles(client: Redis, prefix: str) -> RedisProfiles:
    return RedisProfiles(client, prefix, whole_rows=2, slice_rows=1)


class Story:
    """One run with one fault. ``other`` is another worker's store, ``client`` the faulty worker's own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"c{next(_numbers)}-"
        self.keys = [f"{self.prefix}profiles:{{0}}:{name}" for name in ("owner", "rows", "journal", "dormant", "marks")]

    async def run(self, at: int, fault: str) -> int:
        """Answers how many commands the faulty worker sent."""
        async with connect(self.url) as client, connect(self.url) as clean:
            self.clean, self.other = clean, profiles(clean, self.prefix)
            self.past: list[dict[str, bytes | None]] = []
            before = self.look if fault == "older_store" else self.unwatched
            self.faulty = faulty = Faulty(client, at, getattr(self, fault), before)
            with suppress(Dead):
                await work(profiles(client, self.prefix))
            await work(self.other)
            owner = await own(self.other, 0, None, always)
            rows = owner.rows | (await self.other.wake(0, owner.token, owner.sequence, list(END)) or {})
            assert {card: letters_of(row) for card, row in rows.items()} == END
            assert await self.clean.exists(f"{self.prefix}profiles:{{0}}:journal") == 0
            return faulty.commands

    async def unwatched(self) -> None: ...

    async def nothing(self, command: Callable[[], Awaitable[Any]]) -> Any:
        return await command()

    async def command_lost(self, command: Callable[[], Awaitable[Any]]) -> Any:
        raise AnswerLost

    async def answer_lost(self, command: Callable[[], Awaitable[Any]]) -> Any:
        await command()
        raise AnswerLost

    async def arrives_late(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Given up by the worker, and done by the server three commands later."""
        self.faulty.late = (self.faulty.commands + 3, command)
        raise AnswerLost

    async def dies_before(self, command: Callable[[], Awaitable[Any]]) -> Any:
        self.faulty.original = self.dead
        raise Dead

    async def dies_after(self, command: Callable[[], Awaitable[Any]]) -> Any:
        await command()
        self.faulty.original = self.dead
        raise Dead

    async def dead(self, *words: Any, **options: Any) -> Any:
        raise Dead

    async def frozen_until_another_is_done(self, command: Callable[[], Awaitable[Any]]) -> Any:
        await work(self.other)
        return await command()

    async def frozen_until_another_has_loaded(self, command: Callable[[], Awaitable[Any]]) -> Any:
        await own(self.other, 0, None, always)
        return await command()

    async def frozen_until_another_has_saved_once(self, command: Callable[[], Awaitable[Any]]) -> Any:
        other = await own(self.other, 0, None, always)
        until = min((other.next or 0) + POLL, len(LOG))
        await wake_all(self.other, [(other, {card for card, _, _ in LOG[other.next or 0 : until]})])
        read(other, until)
        await other.save(self.other)
        return await command()

    async def older_store(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """The server comes back as it was some commands ago."""
        async with self.clean.pipeline(transaction=True) as all_at_once:
            all_at_once.delete(*self.keys)
            for key, value in self.past[-1 - self.faulty.at % 7 :][0].items():
                if value is not None:
                    all_at_once.restore(key, 0, value)
            await all_at_once.execute()
        return await command()

    async def look(self) -> None:
        """Remember what is stored, for `older_store`."""
        async with self.clean.pipeline(transaction=True) as all_at_once:
            for key in self.keys:
                all_at_once.dump(key)
            self.past.append(dict(zip(self.keys, await all_at_once.execute(), strict=True)))


FAULTS = (
    "command_lost", "answer_lost", "arrives_late", "dies_before", "dies_after", "frozen_until_another_is_done",
    "frozen_until_another_has_loaded", "frozen_until_another_has_saved_once", "older_store",
)  # fmt: skip


def test_without_a_fault_rows_rest_and_come_back(url: str) -> None:
    story = Story(url)
    assert asyncio.run(story.run(0, "nothing")) > 40

    async def archived() -> int:
        async with connect(url) as client:
            return await client.hlen(f"{story.prefix}profiles:{{0}}:dormant")

    assert asyncio.run(archived()) >= 3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_command_changes_nothing_in_the_end(url: str, fault: str) -> None:
    async def every_point() -> None:
        at = 1
        while await Story(url).run(at, fault) >= at:
            at += 1
        assert at > 40

    asyncio.run(every_point())
