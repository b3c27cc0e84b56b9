"""Recognises a batch that an idempotent producer sends a second time.

Such a producer numbers its records per partition and retries a batch whose answer got lost. The broker remembers the
last five batches of each producer (what a client may have in flight) and answers a repeat with the first one's offset.
"""

from collections import deque
from typing import Final, NamedTuple

from pipeline.embedded import wire
from pipeline.embedded.batch import Header

BATCHES_REMEMBERED: Final = 5
PRODUCERS_REMEMBERED: Final = 1_000
"""Of each partition; the one that has been silent longest is forgotten first."""

_SEQUENCES: Final = 2**31


class _Seen(NamedTuple):
    first: int
    last: int
    offset: int


class _Producer(NamedTuple):
    epoch: int
    batches: deque[_Seen]


class Verdict(NamedTuple):
    """What to do with a batch: refuse it (``error``), answer with the offset it already has (``offset``), or append
    it (neither)."""

    error: int = wire.NONE
    offset: int | None = None


class Producers:
    """The idempotent producers of one partition."""

    def __init__(self) -> None:
        self._known: dict[int, _Producer] = {}

    def judge(self, header: Header) -> Verdict:
        """Is this batch new, a repeat, or out of order? Producers without an id are always new."""
        producer = self._known.get(header.producer_id)
        if header.producer_id < 0 or producer is None:
            return Verdict()
        if header.producer_epoch < producer.epoch:
            return Verdict(error=wire.INVALID_PRODUCER_EPOCH)
        if header.producer_epoch > producer.epoch:
            return Verdict(error=wire.NONE if header.base_sequence == 0 else wire.OUT_OF_ORDER_SEQUENCE_NUMBER)
        last = _last_sequence(header)
        for seen in producer.batches:
            if (seen.first, seen.last) == (header.base_sequence, last):
                return Verdict(offset=seen.offset)
        newest = producer.batches[-1].last
        if header.base_sequence == (newest + 1) % _SEQUENCES:
            return Verdict()
        older = last < producer.batches[0].first
        return Verdict(error=wire.DUPLICATE_SEQUENCE_NUMBER if older else wire.OUT_OF_ORDER_SEQUENCE_NUMBER)

    def remember(self, header: Header, offset: int) -> None:
        """The batch was appended at ``offset``."""
        if header.producer_id < 0:
            return
        producer = self._known.pop(header.producer_id, None)
        if producer is None or producer.epoch != header.producer_epoch:
            producer = _Producer(header.producer_epoch, deque(maxlen=BATCHES_REMEMBERED))
        producer.batches.append(_Seen(header.base_sequence, _last_sequence(header), offset))
        self._known[header.producer_id] = producer  # last in the dictionary: the latest heard of
        if len(self._known) > PRODUCERS_REMEMBERED:
            del self._known[next(iter(self._known))]


def _last_sequence(header: Header) -> int:
    return (header.base_sequence + header.last_offset_delta) % _SEQUENCES
