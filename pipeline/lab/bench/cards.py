"""Card rows in the store, as months of traffic would have left them: made by the scoring functions, written by the
product's own store code."""

import asyncio
import secrets
import time
from contextlib import aclosing

from pipeline.adapters.memory import StoredRecord
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.profiles import RedisProfiles
from pipeline.core.poll import Part, Versions
from pipeline.core.scoring import score_poll
from pipeline.lab.bench.kafka import PARTITIONS
from pipeline.lab.bench.knowledge import where
from pipeline.lab.bench.stream import SERIES, Stream, token
from pipeline.lab.warm_up import shares

GROWN = 500
"""So many cards are given a history; the others share their rows, which name no card."""
TURNS = 24
"""Transactions in a grown card's history."""
APART_S = 61 * 3600
"""Between two of them: in the course of two months every hour of the day occurs."""
QUIET_S = 14 * 86_400
"""A history ends so long ago: what is sent to its card afterwards is later."""
FIRST = 900 * SERIES
"""The history's ids occur nowhere else: a scorer would take a transaction whose id it knows for sent twice."""
SAVE_ROWS = 1_000


def grown_rows(versions: Versions) -> list[bytes]:
    """Rows of cards with a history of two months."""
    stream = Stream(GROWN, time.time() - QUIET_S, TURNS - 1, APART_S)
    rows: dict[bytes, bytes] = {}
    for turn in range(TURNS):
        numbers = range(FIRST + turn * GROWN, FIRST + (turn + 1) * GROWN)
        records = [
            StoredRecord(0, number - FIRST, int(stream.moment(number) * 1e3), stream.key(number), stream.value(number))
            for number in numbers
        ]
        moment = stream.moment(numbers[-1])
        score_poll([Part(0, records, rows, {})], versions, lambda card: 0, moment, time.perf_counter)
    return list(rows.values())


def fill(url: str, prefix: str, cards: int, rows: list[bytes]) -> None:
    """Store ``cards`` cards under ``prefix``, as first checkpoints of partitions nothing was read from yet."""
    asyncio.run(_fill(url, prefix, cards, rows))


async def _fill(url: str, prefix: str, cards: int, rows: list[bytes]) -> None:
    async with aclosing(connect(url)) as client:
        store = RedisProfiles(client, prefix)
        await store.layout(PARTITIONS)
        places: dict[int, list[int]] = {number: [] for number in range(PARTITIONS)}
        for place in range(cards):
            places[where(token(place))].append(place)
        for number, mine in places.items():
            taken = await store.take(number, secrets.token_hex(16))
            held = {token(place): rows[place % len(rows)] for place in mine}
            for sequence, piece in enumerate(shares(held, SAVE_ROWS), start=taken.sequence + 1):
                await store.save(number, taken.token, sequence, 0, piece)
