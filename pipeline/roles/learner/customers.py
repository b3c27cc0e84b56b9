"""Customers beside the models: what `scored` and `labels` say of each becomes `customer-state`.

`Customers` reads its book back at the start and writes what is due. What a restart finds: every customer as last told, and
of `scored` all from ``read_from`` on, where the rows know what they have counted. So nothing is counted twice, and nothing
is lost but what Kafka no longer holds. Labels are told of before the snapshot of the models that has read them.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import structlog

from pipeline.core.customer_state import record_of
from pipeline.core.customer_tags import TagError, parse_tags
from pipeline.core.told import Gathered, Told
from pipeline.core.topics import CUSTOMER_STATE, SCORED
from pipeline.ports import Clock, Log, Reader, Record
from pipeline.roles.learner.control import LogSilent
from pipeline.roles.learner.customer_book import CustomerBook
from pipeline.roles.learner.customer_metrics import CustomerMetrics
from pipeline.roles.learner.inputs import Stretch, read_again

MOST_A_SECOND: Final = 2_000
"""Records of `customer-state` written in a second."""
AGAIN_S: Final = 60.0
"""Nobody is told of more often than that, but for labels."""
LOOK_S: Final = 5.0
"""How often to look whether the file of tags was changed."""

_log = structlog.get_logger(__name__)


class TagSource(Protocol):
    """The file of tags."""

    def changed(self) -> bool: ...
    def read(self) -> tuple[str, str]: ...


class CustomerPace(NamedTuple):
    """``told_s``: payments are told of after at most so long; ``idle_s``: without a payment for so long (event time) a
    customer is let go of."""

    told_s: float = 3_600.0
    idle_s: float = 180 * 86_400.0


class Customers:
    """The book on its ports. One at a time may write: whoever holds the learner's lease calls."""

    def __init__(
        self,
        open_state: Callable[[], Reader],
        open_scored: Callable[[], Reader],
        log: Log,
        clock: Clock,
        source: TagSource,
        zone: ZoneInfo,
        metrics: CustomerMetrics,
        pace: CustomerPace | None = None,
    ) -> None:
        """Raises TagError and OSError for a file of tags that is wrong or not there."""
        self._open_state, self._open_scored, self._log, self._clock = open_state, open_scored, log, clock
        self._source, self._zone, self._metrics = source, zone, metrics
        self._pace = pace or CustomerPace()
        self._tags = parse_tags(*source.read())
        self.book = CustomerBook(self._tags, zone, metrics)
        self._told_at: dict[bytes, float] = {}
        self._last = self._looked = clock.now()

    async def begin(
        self,
        reading: Mapping[int, int],
        go_on: Callable[[], Awaitable[bool]],
        poll_s: float,
        silence_s: float,
        told: Gathered | None = None,
    ) -> None:
        """Find the way back: what was told, and `scored` from there up to ``reading``, from where the caller goes on.
        ``told``: the tags that an earlier learner told scorers of. Raises LogSilent."""
        self.book = CustomerBook(self._tags, self._zone, self._metrics, told)
        self._told_at.clear()
        reader = self._open_state()
        try:
            await reader.start()
            behind = {number: end for number, end in (await reader.ends()).items() if end > 0}
            heard_at = self._clock.now()
            while behind and await go_on():
                poll = await reader.poll(poll_s)
                if poll:
                    heard_at = self._clock.now()
                elif self._clock.now() - heard_at >= silence_s:
                    raise LogSilent(
                        f"topic {CUSTOMER_STATE.name}: nothing came, though partitions {sorted(behind)} hold records"
                    )
                for number, records in poll.items():
                    self.book.restore(records)
                    if records and records[-1].offset + 1 >= behind.get(number, 0):
                        behind.pop(number, None)
        finally:
            await reader.stop()
        self.book.restored()
        first = {number: self.book.floor.get(number, 0) for number in reading}
        reader = self._open_scored()
        try:
            await read_again(
                reader, Stretch(SCORED, first, reading), self.take, go_on, self._clock, poll_s, silence_s
            )  # fmt: skip
        finally:
            await reader.stop()
        _log.info("learner: customers", known=len(self.book.rows), tags=len(self._tags.tags))

    def take(self, record: Record) -> None:
        """A record of `scored`."""
        self.book.take(record, self._clock.now() + self._pace.told_s)

    def label_record(self, record: Record) -> None:
        """A record of `labels`."""
        self.book.label(record, self._clock.now() + self._pace.told_s)

    def due(self) -> bool:
        """Whether somebody is to be told of now."""
        now = self._clock.now()
        return bool(self.book.changed) or next(iter(self.book.due.values()), (now + 1.0, 0))[0] <= now

    async def tell(self) -> None:
        """Write what is due, at most `MOST_A_SECOND`; look at the file of tags; let go of the idle."""
        now = self._clock.now()
        self._look(now)
        while self._told_at and now - next(iter(self._told_at.values())) >= AGAIN_S:
            del self._told_at[next(iter(self._told_at))]
        most = int(MOST_A_SECOND * min(max(now - self._last, 0.05), 1.0))
        self._last = now
        waiting = (customer for customer in self.book.changed if customer not in self._told_at)
        chosen = list(islice(waiting, most))
        for customer, (at, _) in self.book.due.items():
            if at > now or len(chosen) >= most:
                break
            if customer not in self.book.changed:
                chosen.append(customer)
        await self._write(chosen, now)
        self._metrics.dropped.inc(self.book.let_go(self._pace.idle_s))
        self._metrics.customers.set(len(self.book.rows))

    async def tell_labelled(self) -> None:
        """Write at once what labels changed: before anybody holds them for read."""
        await self._write(list(self.book.labelled), self._clock.now())

    async def _write(self, customers: list[bytes], now: float) -> None:
        if not customers:
            return
        book, last = self.book, len(customers) - 1
        records = [
            record_of(customer, book.rows[customer], book.tags, book.floor if at == last else None)
            for at, customer in enumerate(customers)
        ]
        await self._log.send(CUSTOMER_STATE, records)
        soon = sum(customer in book.changed for customer in customers)
        self._metrics.told.labels("changed").inc(soon)
        self._metrics.told.labels("activity").inc(len(customers) - soon)
        for customer in customers:
            self._told_at.pop(customer, None)
            self._told_at[customer] = now
        book.told(customers)

    def _look(self, now: float) -> None:
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        if not self._source.changed():
            return
        try:
            tags = parse_tags(*self._source.read())
        except (TagError, OSError, UnicodeError) as error:
            self._metrics.refused.inc()
            _log.error("tags refused, the running ones stay", reason=str(error), running=self._tags.version)
            return
        if tags.version != self._tags.version:
            self._tags = tags
            self.book.retag(tags)
            _log.info("tags in force", version=tags.version, tags=len(tags.tags))

    def tellings(self, epoch: int) -> Iterator[Told]:
        """What scorers are to be told of tags now."""
        yield from self.book.ledger.tellings(epoch)

    def standby(self) -> None:
        """Another process leads."""
        self.book = CustomerBook(self._tags, self._zone, self._metrics)
        self._metrics.customers.set(0)
