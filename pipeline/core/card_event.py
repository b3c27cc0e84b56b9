"""What happens to a card beside its payments: records of ``card-events``, key card."""

import msgspec

from pipeline.core.masking import is_card_number
from pipeline.core.transaction import (
    MAX_MESSAGE_BYTES,
    Currency,
    MinorUnits,
    Refused,
    Token,
    is_token,
    refusal,
    unix_seconds,
)


class CardEvent(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Record of ``card-events`` (key card). ``type``: replaced (by ``new_card``, which takes over this card's history),
    lost, stolen, activated (which ends both), wallet_added, limit_changed (to ``limit``, minor units of ``currency``),
    expiring (it ends soon), expired; types that nobody here needs are passed over. ``time``: when it happened, RFC 3339
    with zone."""

    card: Token
    type: str
    time: str
    new_card: Token | None = None
    limit: MinorUnits | None = None
    currency: Currency | None = None


_decode = msgspec.json.Decoder(CardEvent).decode


def decode_card_event(value: bytes | None) -> tuple[CardEvent, float]:
    """The event and its time in unix seconds. Raises `Refused`, and nothing else, whatever the bytes."""
    if not value:
        raise Refused("empty", None, "the record has no value")
    if len(value) > MAX_MESSAGE_BYTES:
        raise Refused("too_large", None, f"{len(value)} bytes; an event has at most {MAX_MESSAGE_BYTES}")
    try:
        event = _decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise refusal(value, error) from None
    for field, token in (("card", event.card), ("new_card", event.new_card)):
        if token is not None and not is_token(token):
            if is_card_number(token):
                raise Refused("clear_card_number", field, f"{field} holds a clear card number, not a token")
            raise Refused("bad_card_token", field, f"{field} must be tok_ and 8–80 letters, digits or underscores")
    at = unix_seconds(event.time)
    if event.type == "replaced":
        if event.new_card is None:
            raise Refused("missing_field", "new_card", "a card that is replaced names the new_card")
        if event.new_card == event.card:
            raise Refused("bad_card_token", "new_card", "a card can't be replaced by itself")
    return event, at
