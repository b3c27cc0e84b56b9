"""How somebody who is called behaves: fixed, by the number's last digits, by a seeded mix, or by the known truth.

A behaviour is written ``yes``, or as a mix ``yes=60,no=10,busy=10,silence=20``. ``truth`` answers yes when none of the
transactions asked about is known to be fraud, else no.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast, get_args

import msgspec

Behaviour = Literal[
    "yes", "no", "agent", "wrong_key", "busy", "silence", "hang_up", "voicemail", "failed", "error", "time_out",
    "interactive", "truth",
]  # fmt: skip
"""``error``: the API answers 500 and makes no call. ``time_out``: it makes the call (answered with yes) but never
answers the request. ``interactive``: it rings until a visitor presses a key, or the ring time is over."""
ENDINGS: Mapping[str, tuple[str, str | None]] = {
    "yes": ("completed", "1"),
    "no": ("completed", "2"),
    "agent": ("completed", "0"),
    "wrong_key": ("completed", "7"),
    "busy": ("busy", None),
    "silence": ("no_answer", None),
    "hang_up": ("hung_up", None),
    "voicemail": ("voicemail", None),
    "failed": ("failed", None),
    "time_out": ("completed", "1"),
}
"""Status and digits with which a call of a behaviour ends."""


class _Truth(msgspec.Struct):
    id: str
    fraud: bool


class Truths:
    """Which transactions are fraud, from JSON lines ``{"id", "fraud"}`` that may still be growing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read = 0
        self._fraud: set[str] = set()

    def any_fraud(self, transactions: Sequence[str]) -> bool:
        if self._path is not None and self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # still being written
                    self._read += len(line)
                    truth = msgspec.json.decode(line, type=_Truth)
                    if truth.fraud:
                        self._fraud.add(truth.id)
        return not self._fraud.isdisjoint(transactions)


class Callees:
    """Everybody who may be called. ``suffixes``: a number's last digits → behaviour, before everything else."""

    def __init__(
        self,
        mix: Mapping[Behaviour, float],
        seed: int = 0,
        suffixes: Mapping[str, Behaviour] | None = None,
        truths: Truths | None = None,
    ) -> None:
        self._mix = mix
        self._seed = seed
        self._suffixes = dict(suffixes or {})
        self._truths = truths or Truths(None)

    def behaviour(self, key: str, number: str, transactions: Sequence[str]) -> Behaviour:
        """What the callee does with this call; the same for the same seed and key."""
        chosen = next((how for suffix, how in self._suffixes.items() if number.endswith(suffix)), None)
        chosen = chosen or self._drawn(key)
        if chosen == "truth":
            return "no" if self._truths.any_fraud(transactions) else "yes"
        return chosen

    def _drawn(self, key: str) -> Behaviour:
        digest = hashlib.blake2b(f"{self._seed}:{key}".encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64 * sum(self._mix.values())
        for behaviour, weight in self._mix.items():
            point -= weight
            if point < 0:
                return behaviour
        return next(reversed(tuple(self._mix)))


def parse_behaviour(word: str) -> Behaviour:
    """Raises ValueError when there is no such behaviour."""
    if word not in get_args(Behaviour):
        raise ValueError(f"there is no behaviour {word!r}: use one of {', '.join(get_args(Behaviour))}")
    return cast(Behaviour, word)


def parse_mix(text: str) -> dict[Behaviour, float]:
    """``yes`` or ``yes=60,no=40``. Raises ValueError."""
    mix = {}
    for part in text.split(","):
        word, _, weight = part.partition("=")
        mix[parse_behaviour(word.strip())] = float(weight or 1)
    if min(mix.values()) < 0 or sum(mix.values()) <= 0:
        raise ValueError("the weights of a mix must not be negative, nor all zero")
    return mix
