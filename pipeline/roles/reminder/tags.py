"""Which customers bear tags, out of ``customer-state``: the plan's conditions ask for them.

Every worker reads the whole topic, since an account's partition says nothing of its customer's. Kept are only customers
with tags; before the topic was read once nothing is sent, for a plan may spare whom a tag names.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog

from pipeline.core.topics import CUSTOMER_STATE
from pipeline.ports import Record, WholeReader
from pipeline.roles.reminder.whole_topic import follow_whole

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
        await follow_whole(reader, self.take, self._is_whole, ended)

    def _is_whole(self) -> None:
        if not self.whole:
            self.whole = True
            log.info("customers' tags are read", topic=CUSTOMER_STATE.name, customers=len(self))
