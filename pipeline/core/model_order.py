"""An order about the model as a record of `control`: signed with the key of the models, with the version's own bytes in it.

Carrying the bytes makes it one step: whoever reads the order has what it names, today, after a restart, and when the
learner has long let go of that version.
"""

from typing import NamedTuple

import msgspec

from models.envelope import SealBroken, open_content, seal_content
from models.snapshot import MAX_BYTES, Snapshot, SnapshotRefused, open_sealed
from pipeline.core.model_release import Action, Mark, Order, Version
from pipeline.core.topics import MODEL_ORDER_KEY, Outgoing

MAGIC = b"CWORDER1"
MAX_TEXT = 500
"""Characters of who and of why."""
MAX_ORDER_BYTES = MAX_BYTES + 8 * MAX_TEXT + 1_000


class _Content(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    sequence: int
    action: Action
    by: str
    why: str
    at: str
    after: tuple[int, int]
    replaced: str
    sealed: bytes


class Ordered(NamedTuple):
    """``sealed``: the bytes of ``snapshot``, the version ordered."""

    order: Order
    snapshot: Snapshot
    sealed: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Content)


def version_of(snapshot: Snapshot) -> Version:
    return Version(snapshot.version, snapshot.model, Mark(snapshot.epoch, snapshot.learned))


def seal_order(order: Order, sealed: bytes, key: bytes) -> Outgoing:
    """``order`` with ``sealed``, the bytes of its version. Raises SealBroken when `open_order` would not take it."""
    content = _Content(
        order.sequence,
        order.action,
        order.by,
        order.why,
        order.at,
        (order.after.epoch, order.after.learned),
        order.replaced,
        sealed,
    )
    record = seal_content(MAGIC, _encoder.encode(content), key)
    open_order(record, key)
    return Outgoing(MODEL_ORDER_KEY, record)


def open_order(record: bytes, key: bytes) -> Ordered:
    """The order in a record of `control`. Raises SealBroken when it is not as somebody with this key wrote it."""
    content = open_content(MAGIC, record, key, MAX_ORDER_BYTES, "order about the model")
    try:
        read = _decoder.decode(content)
        snapshot = open_sealed(read.sealed, key)
    except (msgspec.DecodeError, SnapshotRefused) as error:
        raise SealBroken(f"signed order about the model that is none: {error}") from error
    if read.sequence < 1 or max(len(read.by), len(read.why)) > MAX_TEXT or not read.by:
        raise SealBroken("signed order about the model without sequence or name, or with too long a text")
    order = Order(
        sequence=read.sequence, action=read.action, by=read.by, why=read.why, at=read.at,
        version=version_of(snapshot), after=Mark(*read.after), replaced=read.replaced,
    )  # fmt: skip
    return Ordered(order, snapshot, read.sealed)
