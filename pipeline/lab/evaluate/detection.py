"""What alerts cost and bring, counted in accounts and money: the language of card portfolios.

An account is a card. A card with a fraud is *detected* at a threshold when a transaction from its first fraud on
reaches it; any other card that reaches it is a *false positive*. At a:1, the threshold is the lowest at which there are
at most a false positives for each detected card.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RATIOS = (5, 10, 20)


class Detection(msgspec.Struct, frozen=True):
    """At one ratio; None: cannot be said. ``accounts``: share of the cards with a fraud that are detected; ``value``: share of the fraud's
    money from the first alert on, the alerting payment with it (it is declined); ``savable``: the same without it (it
    was through already); ``ratio`` what was reached. ``threshold`` None: none keeps the ratio."""

    threshold: float | None
    ratio: float | None
    accounts: float | None
    value: float | None
    savable: float | None


def detection(card: NDArray[np.int32], fraud: Flags, score: Floats, amount: Floats, ratio: float) -> Detection:
    """Columns of length n in order of time; ``amount`` in one currency. None throughout without a fraud."""
    if not fraud.any():
        return Detection(None, None, None, None, None)
    cards, line = np.unique(card, return_inverse=True)
    first_fraud = np.full(len(cards), len(card), dtype=np.int64)
    np.minimum.at(first_fraud, line[fraud], np.flatnonzero(fraud))
    bad = first_fraud < len(card)
    counts = ~bad[line] | (np.arange(len(card)) >= first_fraud[line])
    highest = np.full(len(cards), -np.inf)
    np.maximum.at(highest, line[counts], score[counts])
    threshold, detected, false = _threshold(bad, highest, ratio)
    alerts = counts & bad[line] & (score >= threshold)
    first_alert = np.full(len(cards), len(card), dtype=np.int64)
    np.minimum.at(first_alert, line[alerts], np.flatnonzero(alerts))
    place = np.arange(len(card))
    money = float(amount[fraud].sum())
    value = float(amount[fraud & (place >= first_alert[line])].sum())
    savable = float(amount[fraud & (place > first_alert[line])].sum())
    return Detection(
        threshold if detected else None,
        false / detected if detected else None,
        detected / int(bad.sum()),
        value / money if money else None,
        savable / money if money else None,
    )


def _threshold(bad: Flags, highest: Floats, ratio: float) -> tuple[float, int, int]:
    """The lowest score at which false positives are at most ``ratio`` × detected, with both numbers."""
    order = np.argsort(-highest, kind="stable")
    ranked = highest[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    detected = np.cumsum(bad[order])[ends]
    false = ends + 1 - detected
    kept = np.flatnonzero((false <= ratio * detected) & np.isfinite(ranked[ends]))
    if not len(kept):
        return float("inf"), 0, 0
    at = kept[-1]
    return float(ranked[ends[at]]), int(detected[at]), int(false[at])
