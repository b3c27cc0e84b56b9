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

_TRIED_KNOTS: Final = {
    "card_checks_1h": ((0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0), (0.0, 1.0, 3.0)),
    "merchant_new_cards_1h_ratio": (None, (0.0, 1.0, 3.0, 10.0)),
}
"""Knots, fine (None: learned) and coarse, of what shows that stolen numbers are tried. Most rows have none of either, so a
sample says little of how far they go."""

_CODES: Final = frozenset(("mcc_code", "entry_mode_code"))
_CROSSED: Final = frozenset((
    "amount", "amount_ratio", "amount_z", "count_1h", "count_24h", "sum_24h", "sum_24h_ratio", "count_24h_ratio",
    "hour_of_day", "mcc_code", "entry_mode_code", "abroad", "hour_rarity", "new_merchant", "new_mcc", "km_from_last",
    "speed_kmh", "entry_mode_rare", "seconds_since_last", "merchant_amount_z", "merchant_new_cards_1h_ratio",
    "card_checks_1h",
))  # fmt: skip
"""With one another and with what labels say. Each of the others repeats one of these, or buys nothing here. That many new
cards come to a merchant is a sign of fraud where the amounts are small and no card is there; elsewhere it may be a sale."""


def _columns() -> tuple[Column, ...]:
    behaviour = len(CATALOGUE) - len(ENTITY_FEATURES)
    made = []
    for feature in CATALOGUE[:behaviour]:
        fine, coarse = _TRIED_KNOTS.get(feature.name, (_CUSTOMER_KNOTS.get(feature.name), None))
        category, crossed = feature.name in _CODES, feature.name in _CROSSED
        made.append(Column(feature.name, feature.name, fine, coarse, category=category, crossed=crossed))
    for feature in ENTITY_FEATURES:
        kind, _, rest = feature.name.partition("_")
        assert kind in KINDS
        of_labels = _KNOTS[rest]
        made.append(Column(feature.name, kind, *of_labels, label_derived=True, crossed=True))
    return tuple(made)


COLUMNS: Final = _columns()
"""One for each of `CATALOGUE`."""
