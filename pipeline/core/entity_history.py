"""What labels say of a terminal, a merchant or a card: its frauds, how many there were, and since when they go on.

One packed row an entity, like a card's profile: `observe` a label, `withdraw` it again, read the `values` at a moment.
Everything goes by event time, the time of the transaction, whenever its label came. A transaction without a label is
neither fraud nor genuine.

*Explained and unexplained.* A fraud that the card's own behaviour gives away (five times its usual amount) says little of
the terminal it happened at; one that looks like any other payment says a lot. ``explained`` is the probability of fraud by
behaviour alone, and a fraud counts 1 − explained as unexplained and the rest as explained.

*The run.* Frauds later than the newest genuine label: a skimmed terminal or an emptied card shows fraud after fraud. How
long it has gone on tells more than how many there were.

*Limits.* Sums fade with `FADE_S` and know all labels. Run and order are exact among the newest `REMEMBERED` labels; a
run that began before them is carried by its first time and its weight, which a label coming late for a time before them
ends (genuine) or leaves (fraud). A label withdrawn from before them is taken out of sums and weight alone.

=====  ====  ====================================================================================
bytes        field
=====  ====  ====================================================================================
0      u32   unix second of the newest label: what the sums are faded to, 0 before the first
4      f32   frauds, unexplained
8      f32   frauds, explained
12     f32   labels
16     u32   carried run: unix second of its first unexplained fraud, 0 without
20     f32   carried run: unexplained weight
24     u8×…  the newest labels, oldest first, 5 bytes each: u32 second, u8 0 genuine, 1 … 255 fraud, explained − 1 of 254
=====  ====  ====================================================================================
"""

import math
import struct
from collections.abc import Callable
from typing import Final

FADE_S: Final = 30 * 86_400.0
REMEMBERED: Final = 16
FORGOTTEN: Final = 1e-3
"""A faded sum below this is nothing: it is seven months old, or what rounding left of a withdrawn label."""
PRIOR_SHARE: Final = 0.005
"""Of fraud, where one label more than there are decides."""
HEAD: Final = struct.Struct("<IfffIf")
LABEL: Final = struct.Struct("<IB")
MAX_BYTES: Final = HEAD.size + REMEMBERED * LABEL.size
EMPTY: Final = HEAD.pack(0, 0.0, 0.0, 0.0, 0, 0.0)
"""The row of an entity without labels; `MAX_BYTES` (104) is the longest a row becomes."""

NAMES: Final = (
    "frauds_unexplained_30d",
    "frauds_explained_30d",
    "fraud_share_30d",
    "fraud_run",
    "fraud_run_days",
    "genuine_since_fraud",
)
"""Of the values, in their order; to be prefixed with the kind of entity."""
MISSING: Final = (math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
"""The values of an entity that is not named, or of which no label is known."""

_STEPS: Final = 254.0
_GENUINE: Final = 0
_U32: Final = 0xFFFF_FFFF


def observe_in_python(row: bytes, at: float, fraud: bool, explained: float) -> bytes:
    """``row`` with the label of one transaction: ``at`` its event time, unix seconds; ``explained`` 0…1, of a fraud."""
    second, code = _second(at), _code(fraud, explained)
    newest, unexplained, explained_sum, count, first, weight = HEAD.unpack_from(row)
    labels = _labels(row)
    if second >= newest:
        fading, worth = math.exp((newest - second) / FADE_S), 1.0
        newest = second
    else:
        fading, worth = 1.0, math.exp((second - newest) / FADE_S)
    u = _unexplained(code)
    unexplained = unexplained * fading + (worth * u if code else 0.0)
    explained_sum = explained_sum * fading + (worth * (1.0 - u) if code else 0.0)
    count = count * fading + worth
    carried = first > 0 or weight > 0.0
    if labels and (second, code) < labels[0] and (carried or len(labels) == REMEMBERED):
        if code == _GENUINE and second >= first:
            first, weight = 0, 0.0
    else:
        labels.append((second, code))
        labels.sort()
        if len(labels) > REMEMBERED:
            first, weight = _carry(labels.pop(0), first, weight)
    return _pack(newest, unexplained, explained_sum, count, first, weight, labels)


def withdraw_in_python(row: bytes, at: float, fraud: bool, explained: float) -> bytes:
    """``row`` without a label that it had observed with these very arguments."""
    second, code = _second(at), _code(fraud, explained)
    newest, unexplained, explained_sum, count, first, weight = HEAD.unpack_from(row)
    labels = _labels(row)
    worth, u = math.exp(min(second - newest, 0) / FADE_S), _unexplained(code)
    count = max(count - worth, 0.0)
    if code:
        unexplained, explained_sum = max(unexplained - worth * u, 0.0), max(explained_sum - worth * (1.0 - u), 0.0)
    if (second, code) in labels:
        labels.remove((second, code))
    elif code and weight > 0.0:
        weight = max(weight - u, 0.0)
        if second == first or weight == 0.0:
            first = 0
    return _pack(newest, unexplained, explained_sum, count, first, weight, labels)


Values = tuple[float, float, float, float, float, float]


def values(row: bytes, now: float) -> Values:
    """What is known at ``now`` (unix seconds), in the order of `NAMES`: unexplained and explained frauds and the share of
    fraud among labels, all faded over 30 days; weight of the run of frauds since the newest genuine label; days since the
    run's first unexplained fraud, missing (NaN) without one; genuine labels since the newest fraud, at most 16, missing
    when no fraud is known. All missing when no label is."""
    newest, unexplained, explained, count, first, weight = HEAD.unpack_from(row)
    labels = _labels(row)
    if not labels and count < FORGOTTEN:
        return MISSING
    fading = math.exp(min(newest - now, 0.0) / FADE_S)
    unexplained, explained, count = unexplained * fading, explained * fading, count * fading
    run, began, since = 0.0, 0, 0
    at = len(labels) - 1
    while at >= 0 and labels[at][1] == _GENUINE:
        since += 1
        at -= 1
    any_fraud = at >= 0 or unexplained + explained > FORGOTTEN
    if since == 0:
        while at >= 0 and labels[at][1] != _GENUINE:
            u = _unexplained(labels[at][1])
            run += u
            began = labels[at][0] if u > 0.5 else began
            at -= 1
        if at < 0:
            run += weight
            began = first or began
    return (
        unexplained,
        explained,
        (unexplained + explained + PRIOR_SHARE) / (count + 1.0),
        run,
        (now - began) / 86_400.0 if began else math.nan,
        float(since) if any_fraud else math.nan,
    )


def _carry(label: tuple[int, int], first: int, weight: float) -> tuple[int, float]:
    """The carried run after the oldest label has left the newest ones."""
    second, code = label
    if code == _GENUINE:
        return 0, 0.0
    u = _unexplained(code)
    return first or (second if u > 0.5 else 0), weight + u


def _second(at: float) -> int:
    return min(max(int(at), 0), _U32)


def _code(fraud: bool, explained: float) -> int:
    return 1 + round(min(max(explained, 0.0), 1.0) * _STEPS) if fraud else _GENUINE


def _unexplained(code: int) -> float:
    return 1.0 - (code - 1) / _STEPS


def _labels(row: bytes) -> list[tuple[int, int]]:
    return list(LABEL.iter_unpack(row[HEAD.size :]))


def _pack(
    newest: int,
    unexplained: float,
    explained: float,
    count: float,
    first: int,
    weight: float,
    labels: list[tuple[int, int]],
) -> bytes:
    head = HEAD.pack(newest, unexplained, explained, count, first, weight)
    return head + b"".join(LABEL.pack(second, code) for second, code in labels)


Change = Callable[[bytes, float, bool, float], bytes]
observe: Change
withdraw: Change
try:
    from pipeline.core import _entity_history
except ImportError:
    observe, withdraw, COMPILED = observe_in_python, withdraw_in_python, False
else:
    observe, withdraw, COMPILED = _entity_history.observe, _entity_history.withdraw, True
"""Both forms give equal rows, to the bit."""
