"""A message centre sends a receipt over any session: what it means does not depend on the worker that gets it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from channel_world import KEY, order, run
from contact_world import SetClock
from message_centre import QUERY, Bank, Centre, bound

from pipeline.adapters.channels.smpp import SmppChannel
from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.embedded.store import EmbeddedStore
from pipeline.ports import StoreDown
from pipeline.ports_channels import CallAccepted, CallReport, CallUnknown, SentMessage
from pipeline.ports_contact import Committed, ContactStore
from pipeline.roles.contact.sent_messages import NotedMessages

RECEIPT = 0x04
LONG = "x" * 161
_numbers = itertools.count()


def receipt(name: str, stat: str = "DELIVRD") -> bytes:
    return f"id:{name} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{stat} err:000 Text:".encode()


class Worker(NamedTuple):
    channel: SmppChannel
    centre: Centre
    bank: Bank

    async def gets(self, text: bytes) -> int:
        """A receipt over this worker's session; the status of its answer."""
        return await self.centre.delivered(1, text, RECEIPT)


@asynccontextmanager
async def two_workers(store: ContactStore, **more: Any) -> AsyncIterator[tuple[Worker, Worker]]:
    """Each with a session of its own; the centre they talk to gives the first one's messages their names."""
    centres, banks = (Centre(), Centre()), (Bank(), Bank())
    known = NotedMessages(store, SetClock())
    async with (
        bound(centres[0], banks[0], known=known, **more) as first,
        bound(centres[1], banks[1], known=known, **more) as second,
    ):
        yield Worker(first, centres[0], banks[0]), Worker(second, centres[1], banks[1])


def told(story: Callable[[Worker, Worker], Awaitable[Any]], store: ContactStore | None = None, **more: Any) -> Any:
    async def go() -> Any:
        async with two_workers(store or MemoryContactStore(), **more) as workers:
            return await story(*workers)

    return run(go())


def test_a_receipt_over_another_workers_session_is_reported_under_the_key() -> None:
    async def story(sender: Worker, other: Worker) -> Worker:
        assert await sender.channel.send(order()) == CallAccepted("m1")
        assert await other.gets(receipt("m1")) == 0
        return other

    assert told(story).bank.reports == [CallReport(KEY, "m1", "delivered")]


def test_the_parts_receipts_may_come_over_different_sessions() -> None:
    async def story(sender: Worker, other: Worker) -> tuple[Bank, Bank]:
        await sender.channel.send(order(text=LONG))
        await sender.gets(receipt("m2"))
        await other.gets(receipt("m1"))
        await other.channel.send(order(key="k2", text=LONG))  # of its own centre: m1 and m2 again
        return sender.bank, other.bank

    first, second = told(story)
    assert first.reports == [CallReport(KEY, "m1", "sent")]
    assert second.reports == [CallReport(KEY, "m1", "delivered")]


def test_the_sender_learns_what_another_heard_of_a_part() -> None:
    async def story(sender: Worker, other: Worker) -> list[CallReport]:
        await sender.channel.send(order(text=LONG))
        await other.gets(receipt("m1"))
        await sender.gets(receipt("m2"))
        return sender.bank.reports

    assert told(story) == [CallReport(KEY, "m1", "delivered")]


def test_a_receipt_faster_than_the_name_it_tells_of_is_waited_with() -> None:
    pauses: list[float] = []

    async def story(sender: Worker, other: Worker) -> list[CallReport]:
        async def late(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                await sender.channel.send(order())

        other.channel._ledger._sleep = late
        assert await other.gets(receipt("m1")) == 0
        return other.bank.reports

    assert told(story) == [CallReport(KEY, "m1", "delivered")]
    assert len(pauses) == 2


def test_after_a_restart_the_centre_can_still_be_asked() -> None:
    """With the sender that the order had: a centre knows its messages by it."""

    async def story(sender: Worker, other: Worker) -> object:
        await sender.channel.send(order(sender="+861065550000"))
        other.centre.query = (0, 2)
        found = await other.channel.find(KEY)
        assert (QUERY, b"m1\0\x01\x01861065550000\0") in other.centre.requests
        return found

    assert told(story) == CallReport(KEY, "m1", "delivered")


def test_what_nobody_sent_is_known_to_nobody() -> None:
    async def at_once(seconds: float) -> None:
        pass

    async def story(sender: Worker, other: Worker) -> object:
        assert await other.gets(receipt("m9")) == 0
        return await other.channel.find("another"), other.bank.reports

    found, reports = told(story, sleep=at_once)
    assert found == CallUnknown("not_known_here")
    assert reports == [CallReport("", "m9", "delivered")]


class Away(MemoryContactStore):
    """A store that is away while ``down``."""

    down = True

    async def note(self, key: str) -> bytes:
        if self.down:
            raise StoreDown("away")
        return await super().note(key)

    async def commit(self, *args: Any, **more: Any) -> Any:
        if self.down:
            raise StoreDown("away")
        return await super().commit(*args, **more)


def test_a_message_is_sent_while_the_store_is_away_and_a_receipt_is_to_come_again() -> None:
    store = Away()

    async def story(sender: Worker, other: Worker) -> list[CallReport]:
        assert await sender.channel.send(order()) == CallAccepted("m1")
        assert await other.gets(receipt("m1")) == 0x64
        await sender.gets(receipt("m1"))
        return sender.bank.reports

    assert told(story, store) == [CallReport(KEY, "m1", "delivered")]


# --- what all workers know, in the store


async def the_course_of_a_message(store: ContactStore) -> None:
    known = NotedMessages(store, SetClock())
    assert await known.of_key(KEY) is None
    assert await known.heard("a", "delivered") is None
    await known.keep(SentMessage(KEY, ("a", None)))
    assert await known.heard("a", "sent") == SentMessage(KEY, ("a", None))
    await known.heard("a", "delivered")
    await known.keep(SentMessage(KEY, ("a", "b"), sender="95588"))
    await asyncio.gather(known.heard("b", "undelivered"), known.heard("a", "delivered"))
    whole = SentMessage(KEY, ("a", "b"), {"a": "delivered", "b": "undelivered"}, "95588")
    assert await known.of_key(KEY) == whole
    assert await known.heard("b", "sent") == whole
    await known.keep(SentMessage("k2", ("a",)))  # a centre that counts anew
    assert await known.heard("a", "failed") == SentMessage("k2", ("a",), {"a": "failed"})


def test_what_is_kept_of_a_message_in_memory() -> None:
    run(the_course_of_a_message(MemoryContactStore()))


def test_what_is_kept_of_a_message_in_a_real_store_and_for_how_long(valkey: EmbeddedStore) -> None:
    async def go() -> None:
        async with connect(valkey.url) as client:
            prefix = f"sms{next(_numbers)}-"
            await the_course_of_a_message(RedisContactStore(client, prefix))
            for key in (f"{prefix}contact:note:s:{KEY}", f"{prefix}contact:note:r:b"):
                assert 0 < await client.pttl(key) <= 2 * 86_400_000

    run(go())


class Contended(MemoryContactStore):
    """Another writer is always faster."""

    async def commit(self, *args: Any, **more: Any) -> Any:
        return Committed("changed")


@pytest.mark.parametrize("kept", [False, True])
def test_a_note_that_is_never_won_is_no_endless_course(kept: bool) -> None:
    async def go() -> None:
        store = Contended()
        known = NotedMessages(store, SetClock())
        if kept:
            store.notes |= {"s:k": b'{"names":["a"]}', "r:a": b"k"}
        with pytest.raises(StoreDown, match="20 times"):
            await (known.heard("a", "delivered") if kept else known.keep(SentMessage("k", ("a",))))

    run(go())
