"""Signed call-backs as the Standard Webhooks specification has them, for both ends.

The signature is ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``; several, separated by blanks, while
keys are rotated. (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

HEADER_ID = "webhook-id"
HEADER_TIMESTAMP = "webhook-timestamp"
HEADER_SIGNATURE = "webhook-signature"
MAX_SKEW_S = 300.0
MAX_BODY_BYTES = 64 * 1024
_SERIALISED = b"whsec_"


class NotSigned(ValueError):
    """The message is not from the holder of the key, or not from now."""


def signing_key(secret: bytes) -> bytes:
    """The key in ``secret``: behind ``whsec_`` it is base64, as the specification writes it; else the bytes are it."""
    if not secret.startswith(_SERIALISED):
        return secret
    try:
        return base64.b64decode(secret[len(_SERIALISED) :], validate=True)
    except binascii.Error as error:
        raise ValueError("the part of the secret after whsec_ is not base64") from error


def signed(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers of a message."""
    return {
        HEADER_ID: message_id,
        HEADER_TIMESTAMP: str(timestamp_s),
        HEADER_SIGNATURE: _signature(secret, message_id, str(timestamp_s), body),
    }


def _signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = message_id.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.digest(signing_key(secret), content, hashlib.sha256)).decode()


def verify(secret: bytes, headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The id of a message whose signature holds and whose time is within MAX_SKEW_S. Raises NotSigned."""
    message_id = headers.get(HEADER_ID, "")
    timestamp = headers.get(HEADER_TIMESTAMP, "")
    if not message_id or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise NotSigned("webhook-id or webhook-timestamp is missing or malformed")
    if abs(now_s - int(timestamp)) > MAX_SKEW_S:
        raise NotSigned("webhook-timestamp is too far from now")
    expected = _signature(secret, message_id, timestamp, body).encode()
    given = headers.get(HEADER_SIGNATURE, "").encode("utf-8", "replace").split(b" ")
    if not any(hmac.compare_digest(expected, one) for one in given):
        raise NotSigned("no webhook-signature holds")
    return message_id
