"""Customer events as the learner reads them: kept per customer, to be told to every scorer.

Read at least once, in any order: an event read again changes nothing. One that cannot be used goes to dead letters, and the
rest goes on.
"""

from collections.abc import Iterator, Mapping

import msgspec

from pipeline.core.customer_history import BadEvent, Event, event_of
from pipeline.core.customer_table import CustomerLedger
from pipeline.core.dead_letters import dead_letter
from pipeline.core.entities import digest_of
from pipeline.core.records import CustomerEvent
from pipeline.core.told import Gathered, Told
from pipeline.core.topics import CUSTOMER_EVENTS, DEAD_LETTERS
from pipeline.ports import Log, Outgoing, Reader, Record
from pipeline.roles.learner.inputs import in_order
from pipeline.roles.learner.metrics import NOT_AN_EVENT, LearnerMetrics

_decoder = msgspec.json.Decoder(CustomerEvent)


class CustomersFollowed:
    """``resumed``: what an earlier learner told, and how far it had read by then."""

    def __init__(self, reader: Reader, log: Log, metrics: LearnerMetrics, resumed: Gathered | None) -> None:
        self.ledger = CustomerLedger(resumed)
        self._reader = reader
        self._log = log
        self._metrics = metrics
        self._read = dict(resumed.read.get(CUSTOMER_EVENTS.name, {})) if resumed else {}

    async def start(self, again: bool) -> None:
        """From where the earlier learner had read to; ``again``: from the beginning."""
        await self._reader.start(None if again else self._read or None)

    async def hear(self) -> None:
        """Take in what is there."""
        refused: list[Outgoing] = []
        read: Mapping[int, int] = {}
        for record in in_order(await self._reader.poll(0.0)):
            try:
                customer, event = _decoded(record)
            except BadEvent as bad:
                refused.append(dead_letter(CUSTOMER_EVENTS, record, NOT_AN_EVENT, bad.field, bad.detail))
            else:
                if event is not None:
                    self.ledger.observe(customer, event)
            read = {**read, record.partition: record.offset + 1}
        if refused:
            await self._log.send(DEAD_LETTERS, refused)
            self._metrics.dead_letters.labels(NOT_AN_EVENT).inc(len(refused))
        self._read |= read
        self._metrics.knows("customers", len(self.ledger))

    def tellings(self, epoch: int) -> Iterator[Told]:
        """What is to be told now."""
        yield from self.ledger.tellings(epoch, {CUSTOMER_EVENTS.name: self._read})

    async def stop(self) -> None:
        await self._reader.stop()


def _decoded(record: Record) -> tuple[int, Event | None]:
    try:
        said = _decoder.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEvent(None, f"not a customer event: {error}") from error
    return digest_of(said.customer), event_of(said, record.timestamp / 1_000)
