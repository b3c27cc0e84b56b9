"""What becomes of a record that cannot be used: where it lies, why, and its masked beginning."""

import msgspec

from pipeline.core.masking import masked_payload
from pipeline.core.moments import rfc3339
from pipeline.core.records import DeadLetter
from pipeline.core.topics import Outgoing, Record, Topic


def dead_letter(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> Outgoing:
    """The record of `dead-letters` for ``record`` of ``topic``. ``detail`` is a sentence without values; the same
    record gives the same letter."""
    letter = DeadLetter(
        topic=topic.name,
        partition=record.partition,
        offset=record.offset,
        reason=reason,
        detail=detail,
        field=field,
        payload=masked_payload(record.value or b""),
        time=rfc3339(record.timestamp / 1000),
    )
    return Outgoing(f"{topic.name}:{record.partition}".encode(), msgspec.json.encode(letter))
