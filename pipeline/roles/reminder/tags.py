"""Which customers bear tags, out of ``customer-state``: the plan's conditions ask for them.

Every worker reads the whole topic, since an account's partition says nothing of its customer's. Kept are only customers
with tags; before the topic was read once nothing is sent, for a plan may spare whom a tag names.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog

from pipeline.core.topics import CUSTOMER_STATE
from pipeline.ports import Record, WholeReader

POLL_S = 0.5
NO_TAGS: frozenset[str] = frozenset()
log = structlog.get_logger()


class _State(msgspec.Struct):
    """What is read of a CustomerState."""

    customer: str
    tags: list[str] = []


_decoder = msgspec.json.Decoder(_State)


class CustomerTags:
    """Customer → tags. ``whole``: everything that was on the topic at the start is read."""

    def __init__(self) -> None:
        self.whole = False
        self._tags: dict[str, frozenset[str]] = {}
        self._sets: dict[frozenset[str], frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._tags)

    def of(self, customer: str) -> Collection[str]:
        return self._tags.get(customer, NO_TAGS)

    def take(self, records: Sequence[Record]) -> None:
        """Records of ``customer-state``, the newest of a customer last. What is none is passed over: the learner alone
        writes this topic, and the CRM's reader tells of it."""
        for record in records:
            if not record.value:
                self._tags.pop((record.key or b"").decode("utf-8", "replace"), None)
                continue
            try:
                state = _decoder.decode(record.value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if state.tags:
                tags = frozenset(state.tags)
                self._tags[state.customer] = self._sets.setdefault(tags, tags)
            else:
                self._tags.pop(state.customer, None)

    async def follow(self, reader: WholeReader, ended: Callable[[], bool]) -> None:
        """Read the topic from its beginning, and go on until ``ended``. Raises what the reader raises."""
        try:
            await reader.start()
            left = _left(await reader.ends(), await reader.places())
            while not ended():
                if not left and not self.whole:
                    self.whole = True
                    log.info("customers' tags are read", topic=CUSTOMER_STATE.name, customers=len(self))
                for number, records in (await reader.poll(POLL_S)).items():
                    self.take(records)
                    if number in left and records[-1].offset + 1 >= left[number]:
                        del left[number]
                if left:
                    left = _left(left, await reader.places())
        finally:
            await reader.stop()


def _left(ends: Mapping[int, int], places: Mapping[int, int]) -> dict[int, int]:
    """Partition → end, of those not yet read up to there."""
    return {number: end for number, end in ends.items() if places.get(number, 0) < end}
