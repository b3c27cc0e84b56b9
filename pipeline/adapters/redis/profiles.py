"""Card rows in Redis: one hash of rows and one small hash of ownership per partition.

Ownership is a random token. A save carries the token, a sequence number one above the stored one, the next input offset
and the changed rows: it is applied whole, or refused because somebody else took the partition (or because the server
came back with older data). A counter would not do as a token: a server that lost its last second hands out the same
number again.

A small save is one step. A large one would hold up everybody else for its whole length, so it is a **journal**: slices
of rows are put beside the others, a step without rows commits them (sequence, offset, how many slices), and then they
are put in place one by one. From the commit on the save has happened: whoever saves or takes the partition next puts in
place what is left of it. Before the commit nothing has happened, and what was put beside is thrown away.

Rows of cards not seen for very long are moved, compressed, into a hash that is not loaded. What is loaded instead is a
mark of each, in one string that grows in the step that moves.
"""

import asyncio
import secrets
import struct
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from pipeline.adapters.redis import profiles_lua as lua
from pipeline.adapters.redis.connection import store_down_as_such
from pipeline.ports import Saved, StoreDown, Taken

SCAN_ROWS = 1_000
"""Rows per HSCAN call: 1–2 ms of the server's time, and as little of the event loop's."""
WHOLE_ROWS = 1_500
"""The most rows that are saved in one step: 3–4 ms of the server's time, and a backlog's usual save is below it."""
SLICE_ROWS = 500
"""Rows put in place in one step of a larger save: about 1 ms."""
TOGETHER = 4
"""Slices on their way at the same time: a server that is far away costs waiting, not bandwidth."""
MARKS_BYTES = 1_048_576
WAKE_CARDS = 2_000
"""Cards per question for rows moved away."""

_length = struct.Struct(">H").pack


def pack_rows(rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Card, row, card, row …, each behind its length (big-endian, 16 bits)."""
    return b"".join([_length(len(piece)) + piece for pair in rows for piece in pair])


class RedisProfiles:
    """The ProfileStore port. Keys carry the installation's prefix and a hash tag per partition."""

    def __init__(
        self, client: Redis, prefix: str = "", whole_rows: int = WHOLE_ROWS, slice_rows: int = SLICE_ROWS
    ) -> None:
        self._redis = client
        self._prefix = prefix
        self._whole_rows = whole_rows
        self._slice_rows = slice_rows
        self._take = client.register_script(lua.TAKE)
        self._save = client.register_script(lua.SAVE)
        self._begin = client.register_script(lua.BEGIN)
        self._stage = client.register_script(lua.STAGE)
        self._commit = client.register_script(lua.COMMIT)
        self._apply = client.register_script(lua.APPLY)
        self._archive = client.register_script(lua.ARCHIVE)
        self._wake = client.register_script(lua.WAKE)
        self._claim = client.register_script(lua.CLAIM_LAYOUT)

    def _keys(self, partition: int, *names: str) -> list[str]:
        return [f"{self._prefix}profiles:{{{partition}}}:{name}" for name in names]

    async def layout(self, partitions: int) -> int:
        """The number of partitions these rows were made for: ``partitions`` when nothing was stored yet."""
        with store_down_as_such():
            key = f"{self._prefix}profiles:layout"
            return int(await self._claim(keys=[key], args=["murmur2-partitions", partitions]))

    # --- taking and loading

    async def take(self, partition: int, token: str) -> Taken:
        with store_down_as_such():
            keys = self._keys(partition, "owner", "journal")
            previous, sequence, following, pending = await self._take(keys=keys, args=[token])
            if pending:
                await self._put_in_place(partition, token)
            return Taken(token, *_place(sequence, following), previous.decode() if previous else None)

    async def position(self, partition: int) -> Taken:
        with store_down_as_such():
            found = await self._redis.hmget(self._keys(partition, "owner")[0], ["token", "sequence", "next", "pending"])
            token, sequence, following, pending = cast(list[bytes | None], found)  # the client does not decode
            if pending:
                raise StoreDown("rows that were read are older than the position: their journal is not in place")
            return Taken(token.decode() if token else "", *_place(sequence, following), None)

    async def load(self, partition: int) -> AsyncIterator[dict[bytes, bytes]]:
        key, cursor = self._keys(partition, "rows")[0], 0
        while True:
            with store_down_as_such():
                cursor, found = await self._redis.hscan(key, cursor, count=SCAN_ROWS)
            yield cast(dict[bytes, bytes], found)
            if cursor == 0:
                return

    # --- saving

    async def save(
        self, partition: int, token: str, sequence: int, next_offset: int, rows: Mapping[bytes, bytes]
    ) -> Saved:
        with store_down_as_such():
            while True:
                if len(rows) <= self._whole_rows:
                    arguments: list[Any] = [token, sequence, next_offset, pack_rows(rows.items())]
                    answer = await self._save(keys=self._keys(partition, "owner", "rows"), args=arguments)
                else:
                    answer = await self._save_by_journal(partition, token, sequence, next_offset, rows)
                match answer:
                    case b"saved":
                        return "saved"
                    case b"already":
                        return "already"
                    case b"pending":
                        await self._put_in_place(partition, token)
                    case _:
                        return "refused"

    async def _save_by_journal(
        self, partition: int, token: str, sequence: int, next_offset: int, rows: Mapping[bytes, bytes]
    ) -> bytes:
        keys, name = self._keys(partition, "owner", "journal"), secrets.token_hex(8)
        answer: bytes = await self._begin(keys=keys, args=[token, sequence, name])
        if answer != b"begun":
            return answer
        count = 0
        slices = self._slices(rows)
        while some := list(islice(slices, TOGETHER)):
            count += len(some)
            answers = await asyncio.gather(*(self._stage(keys=keys, args=[token, name, piece]) for piece in some))
            if set(answers) != {b"staged"}:
                return b"refused"
        answer = await self._commit(keys=keys, args=[token, sequence, name, next_offset, count])
        if answer == b"saved":
            try:
                with store_down_as_such():
                    await self._put_in_place(partition, token)
            except StoreDown:
                pass  # it is committed: the next save or owner goes on
        return answer

    def _slices(self, rows: Mapping[bytes, bytes]) -> Iterator[bytes]:
        feed = iter(rows.items())
        while some := list(islice(feed, self._slice_rows)):
            yield pack_rows(some)

    async def _put_in_place(self, partition: int, token: str) -> None:
        """What a committed journal left; nothing when the partition has another owner by now."""
        keys = self._keys(partition, "owner", "journal", "rows")
        left = 1
        while left:
            tries = range(min(left, TOGETHER))
            answers: list[Any] = await asyncio.gather(*(self._apply(keys=keys, args=[token]) for _ in tries))
            left = 0 if b"refused" in answers else min(answers)

    # --- rows of cards not seen for long

    async def marks(self, partition: int) -> bytes:
        key, found = self._keys(partition, "marks")[0], b""
        while True:
            with store_down_as_such():
                piece = await self._redis.getrange(key, len(found), len(found) + MARKS_BYTES - 1)
            found += cast(bytes, piece)
            if len(piece) < MARKS_BYTES:
                return found

    async def archive(
        self, partition: int, token: str, sequence: int, rows: Mapping[bytes, bytes], marks: bytes
    ) -> bool:
        packed = pack_rows((card, zlib.compress(row)) for card, row in rows.items())
        keys = self._keys(partition, "owner", "rows", "dormant", "marks")
        return await self._in_step(partition, self._archive, keys, [token, sequence, packed, marks]) is not None

    async def wake(
        self, partition: int, token: str, sequence: int, cards: Sequence[bytes]
    ) -> dict[bytes, bytes] | None:
        keys = self._keys(partition, "owner", "rows", "dormant")
        rows: dict[bytes, bytes] = {}
        for first in range(0, len(cards), WAKE_CARDS):
            some = cards[first : first + WAKE_CARDS]
            found = await self._in_step(partition, self._wake, keys, [token, sequence, *some])
            if found is None:
                return None
            for card, row, packed in zip(some, *found, strict=True):
                if row is not None or packed is not None:
                    rows[card] = row if row is not None else zlib.decompress(packed)
        return rows

    async def _in_step(self, partition: int, script: AsyncScript, keys: list[str], arguments: list[Any]) -> Any:
        """The script's answer, after what a journal left is in place; None when it refused."""
        with store_down_as_such():
            while (answer := await script(keys=keys, args=arguments)) == b"pending":
                await self._put_in_place(partition, arguments[0])
        return None if answer == b"refused" else answer


def _place(sequence: bytes | None, following: bytes | None) -> tuple[int, int | None]:
    return int(sequence or 0), None if following is None else int(following)
