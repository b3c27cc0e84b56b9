"""The catalogue as the classifier of labels sees it: which columns are codes, which labels made, which are crossed."""

from typing import Final

from models.binning import Column
from pipeline.core.features import CATALOGUE, CUSTOMER_FEATURES, ENTITY_FEATURES, KINDS

_COUNTS: Final = (0.0, 0.05, 0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0)
_DAYS: Final = (
    0.0, 3.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 17.0, 20.0, 24.0, 27.0, 28.0, 29.0, 31.0, 35.0, 45.0, 60.0, 90.0,
)  # fmt: skip
_SHARES: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
_GENUINE: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0)
_COARSE_COUNTS: Final = (0.0, 0.3, 1.0, 2.0, 4.0, 10.0)

_KNOTS: Final = {
    "frauds_unexplained_30d": (_COUNTS, _COARSE_COUNTS),
    "frauds_explained_30d": (_COUNTS, _COARSE_COUNTS),
    "fraud_share_30d": (_SHARES, (0.0, 0.02, 0.1, 0.35, 0.8)),
    "fraud_run": (_COUNTS, _COARSE_COUNTS),
    "fraud_run_days": (_DAYS, (0.0, 7.0, 10.0, 20.0, 28.0, 35.0)),
    "genuine_since_fraud": (_GENUINE, (0.0, 1.0, 3.0, 8.0)),
}
"""Knots, fine and coarse, of what labels say. Given, not learned: before the first label there is nothing to learn from,
and by then the bins are settled."""

_HOURS: Final = (0.0, 1.0, 4.0, 12.0, 24.0, 48.0, 96.0, 168.0, 336.0, 720.0)
_CUSTOMER_KNOTS: Final = {
    **dict.fromkeys((feature.name for feature in CUSTOMER_FEATURES), _HOURS),
    "logins_failed_24h": (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0),
    "travel_notice": (0.0, 1.0),
}
"""Of what befalls few: a sample of rows may show none of them."""

_CODES: Final = frozenset(("mcc_code", "entry_mode_code"))
_CROSSED: Final = frozenset((
    "amount", "amount_ratio", "amount_z", "count_1h", "count_24h", "sum_24h", "sum_24h_ratio", "count_24h_ratio",
    "hour_of_day", "mcc_code", "entry_mode_code", "abroad", "hour_rarity", "new_merchant", "new_mcc", "km_from_last",
    "speed_kmh", "entry_mode_rare", "seconds_since_last", "merchant_amount_z",
))  # fmt: skip
"""With one another and with what labels say. The others each repeat one of these."""


def _columns() -> tuple[Column, ...]:
    behaviour = len(CATALOGUE) - len(ENTITY_FEATURES)
    made = [
        Column(
            feature.name,
            feature.name,
            _CUSTOMER_KNOTS.get(feature.name),
            category=feature.name in _CODES,
            crossed=feature.name in _CROSSED,
        )
        for feature in CATALOGUE[:behaviour]
    ]
    for feature in ENTITY_FEATURES:
        kind, _, rest = feature.name.partition("_")
        assert kind in KINDS
        knots, coarse = _KNOTS[rest]
        made.append(Column(feature.name, kind, knots, coarse, label_derived=True, crossed=True))
    return tuple(made)


COLUMNS: Final = _columns()
"""One for each of `CATALOGUE`."""
