"""Signed bytes: how one process hands another numbers that nobody else can have written or changed.

    sealed = magic (8 bytes) · HMAC-SHA256 over magic + content (32 bytes) · content

Whoever can write to the topic but does not hold the key can put nothing before the reader. The magic is part of what is
signed: what was sealed as one kind of record does not open as another.
"""

import hashlib
import hmac

SIGNATURE_BYTES = 32


class SealBroken(ValueError):
    """Why a blob is not opened: a sentence for the operator."""


def seal_content(magic: bytes, content: bytes, key: bytes) -> bytes:
    """``content`` under ``magic`` (eight bytes), signed with ``key``."""
    return magic + _sign(magic, content, key) + content


def open_content(magic: bytes, sealed: bytes, key: bytes, most_bytes: int, what: str) -> bytes:
    """The content of ``sealed``. Raises SealBroken when it is larger than ``most_bytes``, of another kind, not signed with
    ``key`` or changed by so much as a bit; ``what`` names it in the sentence."""
    if len(sealed) > most_bytes:
        raise SealBroken(f"{what} of {len(sealed)} bytes: the limit is {most_bytes}")
    body = len(magic) + SIGNATURE_BYTES
    if len(sealed) <= body or not sealed.startswith(magic):
        raise SealBroken(f"not a {what} of this format")
    if not hmac.compare_digest(sealed[len(magic) : body], _sign(magic, sealed[body:], key)):
        raise SealBroken(f"{what} with a wrong signature: another key, or changed on its way")
    return sealed[body:]


def _sign(magic: bytes, content: bytes, key: bytes) -> bytes:
    return hmac.new(key, magic + content, hashlib.sha256).digest()
