"""The dossier of a contact holds together: each entry carries the SHA-256 of all before it.

An entry is canonical JSON (UTF-8, keys in order, no blanks) with ``previous``, the ``hash`` of the entry before it (the
contact's id, for the first), and ``hash``: the SHA-256 of ``previous`` followed by the canonical JSON of everything
else. Whoever changes, drops or moves an entry breaks a link; whoever cuts off the end is found out by the last hash,
which is kept with the conversation.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

VISIBLE = 2
"""Characters of an address that are shown, beside a mail's domain and a number's country."""
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class Link(NamedTuple):
    """An entry as it is kept, and its hash."""

    value: bytes
    hash: str


class Broken(NamedTuple):
    """A link that does not hold. ``entry``: its number, from 1; one more than there are entries: the end is missing.
    ``why``: "unreadable", "changed" (it is not what was hashed), "unlinked" (it does not follow the one before it) or
    "cut_off"."""

    entry: int
    why: str


def chained(previous: str, entry: Mapping[str, Any]) -> Link:
    """``entry`` (JSON values; neither ``previous`` nor ``hash`` among its keys) linked to the entry of hash
    ``previous``."""
    digest = _hash(previous, entry)
    return Link(_canonical({**entry, "previous": previous, "hash": digest}), digest)


def verify(contact: str, entries: Sequence[bytes], last: str | None = None) -> list[Broken]:
    """What is wrong with the dossier of ``contact``, in the order of its entries; nothing: it holds. ``last``: the hash
    it has to end with, where that is known."""
    broken: list[Broken] = []
    previous = contact
    for number, value in enumerate(entries, 1):
        entry = read_entry(value)
        if entry is None:
            broken.append(Broken(number, "unreadable"))
            previous = ""
            continue
        given, named = entry.pop("hash", ""), entry.pop("previous", "")
        if _hash(str(named), entry) != given:
            broken.append(Broken(number, "changed"))
        elif named != previous and previous:
            broken.append(Broken(number, "unlinked"))
        previous = str(given)
    if last is not None and previous and previous != (last or contact):
        broken.append(Broken(len(entries) + 1, "cut_off"))
    return broken


def read_entry(value: bytes) -> dict[str, Any] | None:
    """An entry's fields; None if it is none."""
    try:
        entry = json.loads(value)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def masked_address(address: str) -> str:
    """A number, e-mail address or id by which the customer, and no one else, knows what is meant: its last two
    characters, of a mail's name the first, and its domain."""
    name, at, domain = address.rpartition("@")
    if at and name:
        return f"{name[0]}***@{domain}"
    return f"{'+' if address.startswith('+') else ''}***{address[-VISIBLE:] if len(address) > 2 * VISIBLE else ''}"


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return _encode(fields).encode()


def _hash(previous: str, entry: Mapping[str, Any]) -> str:
    return sha256(previous.encode() + _canonical(entry)).hexdigest()
