"""What a score comes from, in words people know: groups of features, and how much each makes a fraud likelier.

A classifier says how much more than usually each column adds to the log odds of a row. Columns of one group are added
up; the groups that add most are told as reasons, with a figure of the column that weighs most in the group. A code is
stable, and has words in every language (``config/messages/*/reasons.toml``).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from pipeline.core.decide import figure
from pipeline.core.decision import Reason
from pipeline.core.features import CATALOGUE, KINDS
from pipeline.core.poll import Floats

MOST_TOLD: Final = 3
LEAST_LOG_ODDS: Final = 0.2
"""What adds less makes a fraud likelier by less than a quarter: not worth a word."""

GROUPS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({
    # code → its columns, and for each the column whose value is told ("": a number by itself
    # says nothing to people)
    "amount": {"amount": "amount_ratio", "amount_ratio": "amount_ratio", "amount_z": "amount_ratio"},
    "spending": {
        "sum_1m": "", "sum_10m": "", "sum_1h": "", "sum_24h": "sum_24h_ratio", "sum_7d": "",
        "sum_24h_ratio": "sum_24h_ratio", "mean_24h_ratio": "", "mean_7d_ratio": "", "max_14d_ratio": "",
    },
    "pace": {
        "count_1m": "count_10m", "count_10m": "count_10m", "count_1h": "count_1h", "count_24h": "count_24h",
        "count_7d": "", "count_24h_ratio": "count_24h", "seconds_since_last": "seconds_since_last",
    },
    "cash": {"is_cash": "", "cash_count_24h": "cash_count_24h", "cash_count_7d": "cash_count_24h"},
    "place": {"km_from_last": "km_from_last", "speed_kmh": "km_from_last", "new_country": "", "abroad": ""},
    "merchant": {"new_merchant": "", "new_mcc": "", "mcc_code": ""},
    "merchant_habits": {
        "merchant_amount_z": "", "merchant_count_24h_ratio": "", "merchant_age_days": "",
        "merchant_new_cards_1h_ratio": "merchant_new_cards_1h_ratio",
    },
    "card_reports": {
        "reported_lost": "", "reported_stolen": "", "days_since_replaced": "days_since_replaced",
        "days_since_wallet_added": "days_since_wallet_added",
    },
    "customer_changes": {
        "hours_since_contact_changed": "", "hours_since_sim_swap": "", "hours_since_device_added": "",
        "hours_since_pin_changed": "", "logins_failed_24h": "logins_failed_24h", "travel_notice": "",
    },
    "entry": {"new_entry_mode": "", "entry_mode_rare": "", "entry_mode_code": ""},
    "hour": {"hour_rarity": "", "hour_of_day": ""},
    "refusals": {"declines_1h": "declines_1h", "declines_24h": "declines_1h"},
    "card_checks": {"card_checks_1h": "card_checks_1h"},
    "card_age": {"transactions_seen": "transactions_seen", "days_known": "days_known"},
    "habits": {},
    **{
        f"{kind}_labels": {
            f"{kind}_frauds_unexplained_30d": "", f"{kind}_frauds_explained_30d": "", f"{kind}_fraud_share_30d": "",
            f"{kind}_fraud_run": "", f"{kind}_fraud_run_days": "", f"{kind}_genuine_since_fraud": "",
        }
        for kind in KINDS
    },
})  # fmt: skip
OTHERS: Final = "habits"
"""Where a column belongs that no group names."""

_NAMES: Final = tuple(feature.name for feature in CATALOGUE)
_CODES: Final = tuple(GROUPS)
_GROUP_OF: Final = {column: number for number, columns in enumerate(GROUPS.values()) for column in columns}
_GROUPS: Final = tuple(_GROUP_OF.get(name, _CODES.index(OTHERS)) for name in _NAMES)
_FIGURES: Final = tuple(
    _NAMES.index(told) if (told := GROUPS[_CODES[group]].get(name)) else -1
    for name, group in zip(_NAMES, _GROUPS, strict=True)
)
assert all(name in _NAMES for columns in GROUPS.values() for name in columns), "a group of columns that are none"

GROUP_FIGURES: Final = {code: frozenset(filter(None, columns.values())) for code, columns in GROUPS.items()}
"""Which figures may come with each code."""


def by_group(more: Floats) -> dict[str, Floats]:
    """``more`` log odds than usual of each column of the catalogue, float64[n, C], added up: code → float64[n]."""
    groups = np.array(_GROUPS)
    return {code: more[:, groups == number].sum(axis=1) for number, code in enumerate(_CODES)}


class Ground(NamedTuple):
    """One group: ``log_odds`` more than usual (negative: less); ``detail`` the figure told, where there is one."""

    code: str
    log_odds: float
    detail: dict[str, float | int | str] | None


def grounds(more: Sequence[float], values: Sequence[float], least: float = -math.inf) -> list[Ground]:
    """The groups of one row that add ``least`` or more, the heaviest first: ``more`` log odds than usual of each column of
    the catalogue, and the ``values`` they have."""
    totals, heaviest, told = [0.0] * len(_CODES), [0.0] * len(_CODES), [-1] * len(_CODES)
    for group, share, at in zip(_GROUPS, more, _FIGURES, strict=True):
        totals[group] += share
        if share > heaviest[group] and at >= 0:
            heaviest[group], told[group] = share, at
    speaking = sorted((-total, group) for group, total in enumerate(totals) if total >= least)
    return [Ground(_CODES[group], -total, _detail(told[group], values)) for total, group in speaking]


def _detail(at: int, values: Sequence[float]) -> dict[str, float | int | str] | None:
    told = figure(values[at]) if at >= 0 else None
    return None if told is None else {_NAMES[at]: told}


def reasons(more: Floats | None, matrix: Floats) -> Iterator[list[Reason]]:
    """For each row of ``matrix``, float64[n, C], the groups that speak most for a fraud, the strongest first, at most
    `MOST_TOLD`; none where ``more`` (see `poll.Model.grounds`) is not known."""
    if more is None:
        yield from ([] for _ in range(len(matrix)))
        return
    for shares, values in zip(more.tolist(), matrix.tolist(), strict=True):
        yield [Reason(one.code, one.detail) for one in grounds(shares, values, LEAST_LOG_ODDS)[:MOST_TOLD]]
