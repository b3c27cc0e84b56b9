"""JSON texts made shorter before deflate, and long again to the byte.

What no dictionary can foresee is written in bytes, apart from the text: runs of hexadecimal digits, fractions, moments in
milliseconds and as RFC 3339. Names that stand beside the texts anyway are left out, and so are hashes of a dossier's
entries that follow from the entries: from what is hashed, and from the hash of the entry before.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from pipeline.core.moments import rfc3339

MARKS = {
    "contact": b"\x03", "card": b"\x04", "customer": b"\x05", "hash": b"\x06", "hash before": b"\x07",
    "fraction": b"\x08", "ms": b"\x0b", "time": b"\x0c",
}  # fmt: skip
"""What is left out or spelled in bytes, and what stands in its place. Stored with every conversation: never change one."""
_RUN, _NEXT = b"\x01", b"\x02"
"""In place of a run (then its length), between two texts."""
_NAMES = (MARKS["contact"], MARKS["card"], MARKS["customer"])
_OWN_HASH, _HASH_BEFORE = MARKS["hash"], MARKS["hash before"]
_FRACTION, _MILLISECONDS, _TIME = MARKS["fraction"], MARKS["ms"], MARKS["time"]
_RESERVED = re.compile(rb"[\x00-\x1f]")
"""No JSON text without line breaks holds one of these."""
_LONG_NAME = 6
"""Shorter ones might be anywhere, and save nothing."""
_SPELLED = re.compile(
    rb'"(?:(?P<prefix>tok_[a-z0-9]{1,8}_|[A-Za-z]{0,4}?[_@]?)(?P<run>(?:[0-9a-f]{2}){4,90})'
    rb'|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z))"'
    rb"|:(?:(?P<fraction>\d+\.\d{8,17})|(?P<ms>\d{13}))(?=[,}])"
)
"""Each alternative begins with a quote or a colon: a search for digits alone takes ten times as long."""
_MARKED = re.compile(rb"\x01(?P<length>.)|(?P<mark>[\x08\x0b\x0c])")
_LENGTH_FROM = 0x20
"""A run of n bytes has the length n + this: a printable character."""
_FLOAT = struct.Struct(">d")
_MOMENT_FROM_MS, _MOMENT_BYTES = 1_500_000_000_000, 5
"""July 2017; 34 years can be told from there."""
_HASH = re.compile(rb'"hash":"([0-9a-f]{64}|\x06)",')
_PREVIOUS = re.compile(rb'"previous":"([^"\\]*)",')


def run_of(length: int) -> bytes:
    """What stands in place of a run of so many bytes."""
    return _RUN + bytes((_LENGTH_FROM + length,))


class Short(NamedTuple):
    """``text``: all that a dictionary may know; ``raw``: the bytes of what is spelled out in it otherwise."""

    text: bytes
    raw: bytes


def can_be_shortened(texts: Iterable[bytes]) -> bool:
    return not any(map(_RESERVED.search, texts))


def shortened(texts: Sequence[bytes], names: Sequence[str], sealed: bool) -> Short:
    """``names``: at most three that `lengthened` is told again. ``sealed``: the hash of the last entry stays."""
    text = _NEXT.join(_without_hashes(texts, sealed))
    for name, mark in _marks(names):
        text = text.replace(name, mark)
    raw: list[bytes] = []

    def spelled(found: re.Match[bytes]) -> bytes:
        kind = found.lastgroup
        if kind == "run":
            run = bytes.fromhex(found["run"].decode())
            raw.append(run)
            return b'"%s%s"' % (found["prefix"], run_of(len(run)))
        if kind == "fraction":
            number = float(found["fraction"])
            if repr(number).encode() != found["fraction"]:
                return found[0]
            raw.append(_FLOAT.pack(number))
            return b":" + _FRACTION
        at_ms = int(found["ms"]) if kind == "ms" else _milliseconds(found["time"].decode())
        if at_ms is None or not 0 <= at_ms - _MOMENT_FROM_MS < 256**_MOMENT_BYTES:
            return found[0]
        raw.append((at_ms - _MOMENT_FROM_MS).to_bytes(_MOMENT_BYTES, "big"))
        return b":" + _MILLISECONDS if kind == "ms" else b'"%s"' % _TIME

    return Short(_SPELLED.sub(spelled, text), b"".join(raw))


def lengthened(short: Short, names: Sequence[str]) -> list[bytes]:
    """The texts. Raises ValueError where ``short`` was not made by `shortened`."""
    at = 0

    def taken(number: int) -> bytes:
        nonlocal at
        at += number
        if at > len(short.raw):
            raise ValueError("bytes are missing")
        return short.raw[at - number : at]

    def spelled(found: re.Match[bytes]) -> bytes:
        if found["length"]:
            return taken(found["length"][0] - _LENGTH_FROM).hex().encode()
        if found["mark"] == _FRACTION:
            return repr(_FLOAT.unpack(taken(_FLOAT.size))[0]).encode()
        at_ms = int.from_bytes(taken(_MOMENT_BYTES), "big") + _MOMENT_FROM_MS
        return str(at_ms).encode() if found["mark"] == _MILLISECONDS else rfc3339(at_ms / 1000).encode()

    text = _MARKED.sub(spelled, short.text)
    for name, mark in reversed(_marks(names)):
        text = text.replace(mark, name)
    return list(_with_hashes(text.split(_NEXT)))


def _marks(names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    marked = zip((name.encode() for name in names), _NAMES, strict=False)
    return [(name, mark) for name, mark in marked if len(name) >= _LONG_NAME and not _RESERVED.search(name)]


def _milliseconds(text: str) -> int | None:
    """None: another way to write that moment is the usual one."""
    try:
        at_ms = round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None
    return at_ms if rfc3339(at_ms / 1000) == text else None


def _digest(entry: bytes) -> bytes | None:
    """What the hash of a dossier's entry has to be; None: it is no such entry."""
    previous = _PREVIOUS.search(entry)
    if previous is None:
        return None
    hashed = _HASH.sub(b"", _PREVIOUS.sub(b"", entry, count=1), count=1)
    return sha256(previous[1] + hashed).hexdigest().encode()


def _without_hashes(entries: Sequence[bytes], sealed: bool) -> Iterable[bytes]:
    before = b""
    for number, entry in enumerate(entries, 1):
        found = _HASH.search(entry)
        digest = found[1] if found and found[1] == _digest(entry) else b""
        if before:
            entry = entry.replace(b'"previous":"%s",' % before, b'"previous":"%s",' % _HASH_BEFORE, 1)
        if digest and (number < len(entries) or not sealed):
            entry = entry.replace(b'"hash":"%s",' % digest, b'"hash":"%s",' % _OWN_HASH, 1)
        yield entry
        before = digest


def _with_hashes(entries: Sequence[bytes]) -> Iterable[bytes]:
    before = b""
    for entry in entries:
        entry = entry.replace(b'"previous":"%s",' % _HASH_BEFORE, b'"previous":"%s",' % before, 1)
        if b'"hash":"%s",' % _OWN_HASH in entry:
            entry = entry.replace(_OWN_HASH, _digest(entry) or b"", 1)
        found = _HASH.search(entry)
        before = found[1] if found else b""
        yield entry
