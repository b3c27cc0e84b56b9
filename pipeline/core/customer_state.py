"""Records of ``customer-state``: what others read of a customer, and what a learner finds its own way back by.

Beside the public value a record has two headers of our own. ``state`` is the customer's row, to the bit. ``read_from``
stands on the last record of each batch: for each partition of `scored` the offset before which all that was counted has
been told, acknowledged before this batch was sent. The newest batch's last record is the newest of its key, so
compaction never takes the newest ``read_from`` away.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from pipeline.core.customer_activity import BANDS, Figures, figures, newest_at, sound, standing, with_standing
from pipeline.core.customer_tags import Tags
from pipeline.core.moments import rfc3339
from pipeline.core.records import CustomerActivity, CustomerRisk, CustomerState
from pipeline.core.topics import Outgoing, Record

HEADER_STATE: Final = "state"
HEADER_READ_FROM: Final = "read_from"
LEVELS: Final = ((1.0, "dormant"), (5.0, "occasional"), (40.0, "regular"))
"""Below so many payments within 30 days (faded), so active; above all of them: frequent."""

_encode = msgspec.json.Encoder().encode
_states = msgspec.json.Decoder(CustomerState)
_offsets = msgspec.json.Decoder(dict[int, int])


class Restored(NamedTuple):
    """What a record says to a learner that starts. ``row`` None: the customer was erased, or the record is not ours;
    ``read_from`` None: the record has none."""

    customer: bytes
    row: bytes | None
    read_from: Mapping[int, int] | None


def state_of(customer: str, row: bytes, tags: Tags) -> CustomerState:
    """What is told of ``customer``."""
    known = figures(row)
    band, held = standing(row)
    return CustomerState(
        customer=customer,
        as_of=rfc3339(newest_at(row)),
        risk=CustomerRisk(
            band=BANDS[band],
            score=round(known.risk, 4),
            highest_24h=round(known.highest_24h, 4),
            highest_7d=round(known.highest_7d, 4),
            frauds_open=int(known.frauds_open),
            frauds_confirmed=int(known.frauds_confirmed),
        ),
        activity=_activity(known),
        tags=tags.of(held),
    )


def _activity(known: Figures) -> CustomerActivity:
    level = next((word for edge, word in LEVELS if known.payments_30d < edge), "frequent")
    return CustomerActivity(
        level=level,  # type: ignore[arg-type]  # the words of `LEVELS` are those of its type
        payments_30d=round(known.payments_30d, 2),
        amount_30d=round(known.amount_30d),
        abroad_share=round(known.abroad_share, 3),
        online_share=round(known.online_share, 3),
        cash_share=round(known.cash_share, 3),
        night_share=round(known.night_share, 3),
        declined_30d=round(known.declined_30d, 2),
        new_merchants_30d=round(known.new_merchants_30d, 2),
        cards_30d=int(known.cards_30d),
        days_known=int(known.days_known),
    )


def record_of(customer: bytes, row: bytes, tags: Tags, read_from: Mapping[int, int] | None) -> Outgoing:
    """The record of ``customer`` (UTF-8); ``read_from`` on the last one of a batch only."""
    headers = [(HEADER_STATE, row)]
    if read_from is not None:
        headers.append((HEADER_READ_FROM, _encode(read_from)))
    return Outgoing(customer, _encode(state_of(customer.decode(), row, tags)), tuple(headers))


def restored(record: Record, tags: Tags) -> Restored:
    """What ``record`` says; tags there are no more are left out."""
    headers = dict(record.headers)
    key = record.key or b""
    read_from: Mapping[int, int] | None = None
    with suppress(KeyError, msgspec.DecodeError):
        read_from = _offsets.decode(headers[HEADER_READ_FROM])
    row = headers.get(HEADER_STATE, b"")
    if record.value is None or not sound(row):
        return Restored(key, None, read_from)
    try:
        key.decode()
        names = _states.decode(record.value).tags
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Restored(key, None, read_from)
    return Restored(key, with_standing(row, standing(row)[0], tags.bits(names)), read_from)
