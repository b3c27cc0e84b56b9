"""What a cardholder's YES allows again: the payment that was asked about, repeated at the same merchant or, where the
merchant is not known, of the same kind in the same country, up to 1.2 times its amount, for a day. A hard rule is not set
aside by it.

A card's exemptions are kept as one note, JSON; what has run out is dropped when the note is next written.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from pipeline.core.conversation import Alert
from pipeline.core.moments import rfc3339

MORE = 1.2
"""An exempt payment may be so many times the confirmed one's amount."""
MOST = 20
"""Exemptions kept of one card: the newest."""


class Exemption(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``merchant``, else ``mcc`` and ``country``; ``most`` in minor units of ``currency``; until ``until_ms``."""

    merchant: str | None = None
    mcc: str | None = None
    country: str | None = None
    most: int
    currency: str
    until_ms: int

    def covers(self, alert: Alert, now_ms: int) -> bool:
        """Whether ``alert`` is such a payment again."""
        if alert.hard or alert.amount is None or alert.currency != self.currency:
            return False
        if now_ms >= self.until_ms or alert.amount > self.most:
            return False
        if self.merchant is not None:
            return alert.merchant_id == self.merchant
        return alert.mcc == self.mcc and alert.country == self.country

    def told(self) -> dict[str, Any]:
        """As it stands in a card command."""
        place = {"merchant": self.merchant} if self.merchant else {"mcc": self.mcc, "country": self.country}
        return {**place, "max_amount": self.most, "currency": self.currency, "until": rfc3339(self.until_ms / 1000)}


def exemption_after(alert: Alert, now_ms: int, last_s: float) -> Exemption | None:
    """What the YES to ``alert`` allows for ``last_s`` seconds; None where too little is known of the payment."""
    if alert.amount is None or alert.currency is None or alert.hard:
        return None
    if alert.merchant_id is None and (alert.mcc is None or alert.country is None):
        return None
    return Exemption(
        merchant=alert.merchant_id,
        mcc=None if alert.merchant_id else alert.mcc,
        country=None if alert.merchant_id else alert.country,
        most=math.floor(alert.amount * MORE),
        currency=alert.currency,
        until_ms=now_ms + round(last_s * 1000),
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Exemption, ...])


def read_exemptions(note: bytes) -> Sequence[Exemption]:
    """A card's note; b"" is none."""
    return _decoder.decode(note) if note else ()


def with_exemptions(note: bytes, more: Sequence[Exemption], now_ms: int) -> bytes:
    """The note with ``more``, without what has run out."""
    kept = [one for one in read_exemptions(note) if one.until_ms > now_ms and one not in more]
    return _encoder.encode([*kept, *more][-MOST:])
