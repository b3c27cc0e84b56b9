"""The customers a learner knows: a row each, moved on by what `scored` and `labels` say, and who is to be told of.

Also how far `scored` must be read again should all of this be lost: to where the first payment stands that was not told.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.core.card_owners import CardOwners
from pipeline.core.customer_activity import (
    ABROAD,
    CASH,
    DECLINED,
    MOST_CARDS,
    NEW_MERCHANT,
    NIGHT,
    ONLINE,
    PAID,
    Figures,
    band_after,
    card_key,
    cards_of,
    figures,
    newest_at,
    paid,
    said,
    standing,
    with_standing,
)
from pipeline.core.customer_state import restored
from pipeline.core.customer_tags import Tags
from pipeline.core.entities import digest_of
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.label_book import RANK
from pipeline.core.records import Label
from pipeline.core.scored import Scored, decode
from pipeline.core.tag_table import TagLedger
from pipeline.core.told import Gathered
from pipeline.core.transaction import Refused, unix_seconds
from pipeline.ports import Record
from pipeline.roles.learner.customer_metrics import CustomerMetrics

MOST_CUSTOMERS: Final = 5_000_000
"""Beyond it those who paid longest ago are let go of."""
MARK_RECORDS: Final = 64
"""Records of `scored` between two places that can be gone back to."""
DAY_H: Final = 24
NIGHT_ENDS_H: Final = 6
"""By the bank's clock; it begins at midnight."""
ONLINE_MODES: Final = (4.0, 5.0)
"""E-commerce and stored credentials, as `entry_mode_code` has them."""

_COLUMN: Final = {feature.name: number for number, feature in enumerate(CATALOGUE)}
_label_decoder = msgspec.json.Decoder(Label)


class CustomerBook:
    """Rows by customer (UTF-8), those who paid longest ago first, and who is to be told of."""

    def __init__(self, tags: Tags, zone: ZoneInfo, metrics: CustomerMetrics, told: Gathered | None = None) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.tags = tags
        self.ledger = TagLedger(tags.names, told)
        """What scorers are told of the tags."""
        self.read: dict[int, int] = {}
        """Partition of `scored` → offset of the next record."""
        self.floor: dict[int, int] = {}
        """The same, before which all was told."""
        self.due: dict[bytes, tuple[float, int]] = {}
        """Customer → when to tell of the payments (unix seconds), and number of the first record untold; oldest first."""
        self.changed: dict[bytes, None] = {}
        """Of those, who is to be told of soon: first seen, or with other tags or another band."""
        self.labelled: set[bytes] = set()
        """Of those, of whom a label spoke."""
        self._owners = CardOwners()
        self._zone = zone
        self._metrics = metrics
        self._number = 0
        self._marks: deque[tuple[int, dict[int, int]]] = deque()
        self._night: dict[int, bool] = {}

    def restore(self, records: Iterable[Record]) -> None:
        """Take what was told last; call `restored` after the last one."""
        for record in records:
            found = restored(record, self.tags)
            for number, offset in (found.read_from or {}).items():
                self.floor[number] = max(offset, self.floor.get(number, 0))
            if found.row is None:
                self.rows.pop(found.customer, None)
            else:
                self.rows[found.customer] = found.row

    def restored(self) -> None:
        self.rows = dict(sorted(self.rows.items(), key=lambda item: newest_at(item[1])))
        self.read = dict(self.floor)
        for customer, held in self._tagged():
            self.ledger.put(customer, held)
        cards = [(card, customer) for customer, row in self.rows.items() for card in cards_of(row)]
        self._owners.begin([card for card, _ in cards], [customer for _, customer in cards])

    def take(self, record: Record, told_by: float) -> None:
        """Count the payments in a record of `scored`; they are to be told of by ``told_by``, unix seconds. One that cannot
        be used is passed over: the models count it."""
        if record.offset < self.read.get(record.partition, 0):
            return
        if self._number % MARK_RECORDS == 0:
            self._marks.append((self._number, dict(self.read)))
        try:
            scored = decode(record.value or b"")
            scored.check()
            if scored.layout == LAYOUT and scored.customer_ids:
                self._count(scored, told_by)
        except (msgspec.DecodeError, ValueError, IndexError):
            self._metrics.skipped.inc()
        self.read[record.partition] = record.offset + 1
        self._number += 1

    def _count(self, scored: Scored, told_by: float) -> None:
        n, what = len(scored.ids), self._what(scored)
        if not len(scored.customer_ids) == len(scored.declined) == n:
            raise ValueError("columns of different lengths")
        amounts, scores = scored.matrix()[:, _COLUMN["amount"]].tolist(), scored.scores().tolist()
        times, offsets = scored.event_times().tolist(), scored.source_offsets().tolist()
        touched: dict[bytes, None] = {}
        partition, number, rows = scored.partition, self._number, self.rows
        for at, (name, token) in enumerate(zip(scored.customer_ids, scored.cards, strict=True)):
            if not name:
                continue
            customer, card = name.encode(), digest_of(token)
            before = rows.get(customer)
            row = paid(before, partition, offsets[at], times[at], card, what[at], amounts[at], scores[at])
            if row is None:
                continue
            if before is None or row[2] != before[2] or row[2] == MOST_CARDS:  # a card that may be new
                self._owners.note(card_key(card), customer, rows)
            if before is not None:
                del rows[customer]  # and in again at the end: the first one paid longest ago
            else:
                self.changed[customer] = None
            rows[customer] = row
            touched[customer] = None
            if customer not in self.due:
                self.due[customer] = told_by, number
        self._stand(list(touched))

    def _what(self, scored: Scored) -> list[int]:
        """What each attempt was, as `paid` takes it."""
        matrix = scored.matrix()
        declined = np.frombuffer(scored.declined, dtype=np.uint8) != 0
        mode = matrix[:, _COLUMN["entry_mode_code"]]
        night = np.array([self._is_night(int(time // 3_600)) for time in scored.event_times().tolist()], dtype=np.bool_)
        what = DECLINED * declined + PAID * (~declined & (matrix[:, _COLUMN["amount"]] > 0.0)) + NIGHT * night
        what += ONLINE * np.isin(mode, ONLINE_MODES)
        for name, bit in (("abroad", ABROAD), ("is_cash", CASH), ("new_merchant", NEW_MERCHANT)):
            what += bit * (matrix[:, _COLUMN[name]] == 1.0)
        kinds: list[int] = what.tolist()
        return kinds

    def _is_night(self, hour: int) -> bool:
        """Whether the hour that begins ``hour`` hours after 1970 is one of the night, by the bank's clock."""
        found = self._night.get(hour)
        if found is None:
            if len(self._night) > 366 * DAY_H:
                self._night.clear()
            local = np.datetime64(hour, "h").item().replace(tzinfo=ZoneInfo("UTC")).astimezone(self._zone).hour
            found = self._night[hour] = local < NIGHT_ENDS_H
        return found

    def _stand(self, customers: list[bytes]) -> None:
        """Find band and tags of ``customers`` anew; who has others now is to be told of soon."""
        if not customers:
            return
        rows = [self.rows[customer] for customer in customers]
        known = [figures(row) for row in rows]
        before = [standing(row) for row in rows]
        held = np.array([tags for _, tags in before], dtype=np.uint32)
        matrix: NDArray[np.float64] = np.array(known).reshape(-1, len(Figures._fields))
        after: list[int] = self.tags.after(held, matrix).tolist()
        for customer, row, figure, was, tags in zip(customers, rows, known, before, after, strict=True):
            now = band_after(was[0], figure.risk), tags
            if tags != was[1]:
                self.ledger.put(digest_of(customer.decode()), tags)
            if now != was:
                self.rows[customer] = with_standing(row, *now)
                self.changed[customer] = None

    def label(self, record: Record, told_by: float) -> None:
        """Take in what a record of `labels` says of a customer's payment. One that cannot be used, or of a card nobody
        here has, is passed over."""
        try:
            label = _label_decoder.decode(record.value or b"")
            at = unix_seconds(label.time)
        except (msgspec.DecodeError, Refused):
            return  # the models count it
        customer = self._owners.of(card_key(digest_of(label.card)))
        row = None if customer is None else self.rows.get(customer)
        if customer is None or row is None:
            self._metrics.unmatched.inc(bool(label.fraud))
            return
        row = said(row, digest_of(label.transaction), label.fraud, RANK[label.source], at)
        if row is not None:
            self.rows[customer] = row
            self.due.setdefault(customer, (told_by, self._number))
            self.changed[customer] = None
            self.labelled.add(customer)
            self._stand([customer])

    def retag(self, tags: Tags) -> None:
        """Use other tags. Customers keep those of a name that is still there; who has what is found out as they pay."""
        if tags.names != self.tags.names:
            moved = {0: 0}
            for customer, row in self.rows.items():
                band, held = standing(row)
                if held not in moved:
                    moved[held] = tags.bits(self.tags.of(held))
                if held != moved[held]:
                    self.rows[customer] = with_standing(row, band, moved[held])
            self.ledger.rename(tags.names, self._tagged())
        self.tags = tags

    def _tagged(self) -> Iterator[tuple[int, int]]:
        """Digest and tags of the customers that have any."""
        for customer, row in self.rows.items():
            if held := standing(row)[1]:
                yield digest_of(customer.decode()), held

    def told(self, customers: Iterable[bytes]) -> None:
        """The log has the present state of ``customers``: go on from there."""
        for customer in customers:
            self.due.pop(customer, None)
            self.changed.pop(customer, None)
            self.labelled.discard(customer)
        first = next(iter(self.due.values()), (0.0, self._number))[1]
        while len(self._marks) > 1 and self._marks[1][0] <= first:
            self._marks.popleft()
        if first == self._number:
            self.floor = dict(self.read)
        elif self._marks:
            self.floor = dict(self._marks[0][1])

    def let_go(self, idle_s: float, most: int = 2_000) -> int:
        """Forget those who paid longest ago, of whom all is told: beyond `MOST_CUSTOMERS`, and after ``idle_s`` without a
        payment. How many went."""
        if not self.rows:
            return 0
        newest = newest_at(next(reversed(self.rows.values())))
        gone: list[bytes] = []
        for customer, row in self.rows.items():
            over = len(self.rows) - len(gone) > MOST_CUSTOMERS
            if len(gone) >= most or customer in self.due or not (over or newest - newest_at(row) > idle_s):
                break
            gone.append(customer)
        for customer in gone:
            self.ledger.put(digest_of(customer.decode()), 0)
            del self.rows[customer]
        return len(gone)
