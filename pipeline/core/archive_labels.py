"""Labels as the archive takes them in, and which of several on one transaction holds.

Labels are kept as they came: who speaks last, who overrules whom and what was taken back is for the reader to decide,
at the moment it asks about.
"""

from types import MappingProxyType
from typing import Final

import msgspec

from pipeline.core.archive_columns import ArrivedLabel
from pipeline.core.masking import holds_card_number
from pipeline.core.records import Label
from pipeline.core.topics import Record

RANKS: Final = MappingProxyType({"chargeback": 3, "network": 3, "analyst": 2, "import": 2, "cardholder": 1})
"""Of two sources the higher one is believed, of equal ones the later word. What a bank imports was settled by its
people. Among a cardholder's own answers the one of higher ``confidence`` is believed, missing as 0, then the later."""

_decode = msgspec.json.Decoder(Label).decode


def read_label(record: Record) -> ArrivedLabel | None:
    """None for what is no label, or holds a clear card number."""
    try:
        label = _decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeError):
        return None
    texts = (label.transaction, label.card, label.time, label.fraud_type, label.supersedes, label.id)
    if any(text is not None and holds_card_number(text) for text in texts):
        return None
    return ArrivedLabel(record.offset, record.timestamp, label)
