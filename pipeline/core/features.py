"""The features: what a transaction looks like against its card's own history, and what is known of where it was made, by
name, in the order of the matrix.

Rules, reasons and pages speak of a feature in its unit; some models see it scaled to 0…1 (`models.scaling`).
"""

from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np

from models.scaling import Scaling
from pipeline.core.entity_history import NAMES


class Scale(NamedTuple):
    """How a value x becomes 0…1: ``saturating`` x / (x + k), one half at x = k, for x ≥ 0; otherwise straight from
    0 at ``low`` to 1 at ``high``, held at both ends. ``missing`` is what NaN becomes: where an ordinary one lies."""

    saturating: bool
    low: float
    high: float
    missing: float


def _half_at(k: float, missing: float = 0.0) -> Scale:
    return Scale(True, 0.0, k, missing)


def _between(low: float, high: float, missing: float = 0.0) -> Scale:
    return Scale(False, low, high, missing)


_FLAG: Final = _between(0.0, 1.0)


class Feature(NamedTuple):
    """One column. ``unit`` "minor": minor units of the billing currency; "flag": 0 or 1; "share": 0…1; "" a ratio."""

    name: str
    unit: str
    en: str
    zh: str
    scale: Scale
    modelled: bool = True


FEATURES: Final = (
    Feature("amount", "minor", "amount in the billing currency", "入账币种金额", _half_at(100_000)),
    Feature("amount_ratio", "", "times the card's usual amount", "为该卡通常金额的倍数", _half_at(3, 0.25), False),
    Feature("amount_z", "deviations", "deviations above the card's usual amount, on a log scale", "对数金额偏离平常的标准差数", _between(-4, 8, 1 / 3)),
    Feature("count_1m", "count", "attempts within about a minute", "约1分钟内交易次数", _half_at(2)),
    Feature("count_10m", "count", "attempts within about ten minutes", "约10分钟内交易次数", _half_at(3)),
    Feature("count_1h", "count", "attempts within about an hour", "约1小时内交易次数", _half_at(5)),
    Feature("count_24h", "count", "attempts within about a day", "约24小时内交易次数", _half_at(10)),
    Feature("count_7d", "count", "attempts within about a week", "约7天内交易次数", _half_at(30), False),
    Feature("sum_1m", "minor", "spent within about a minute", "约1分钟内消费额", _half_at(200_000), False),
    Feature("sum_10m", "minor", "spent within about ten minutes", "约10分钟内消费额", _half_at(200_000), False),
    Feature("sum_1h", "minor", "spent within about an hour", "约1小时内消费额", _half_at(300_000)),
    Feature("sum_24h", "minor", "spent within about a day", "约24小时内消费额", _half_at(500_000)),
    Feature("sum_7d", "minor", "spent within about a week", "约7天内消费额", _half_at(1_500_000), False),
    Feature("count_24h_ratio", "", "times the card's usual number a day", "日交易次数为平常的倍数", _half_at(3, 0.25)),
    Feature("sum_24h_ratio", "", "times the card's usual spend a day", "日消费额为平常的倍数", _half_at(3, 0.25)),
    Feature("cash_count_24h", "count", "cash withdrawals within about a day", "约24小时内取现次数", _half_at(2)),
    Feature("cash_count_7d", "count", "cash withdrawals within about a week", "约7天内取现次数", _half_at(4)),
    Feature("is_cash", "flag", "a cash withdrawal", "取现交易", _FLAG),
    Feature("new_merchant", "flag", "a merchant new to this card", "该卡首次光顾的商户", _FLAG),
    Feature("new_country", "flag", "a country new to this card", "该卡首次出现的国家或地区", _FLAG),
    Feature("new_mcc", "flag", "a merchant category new to this card", "该卡首次出现的商户类别", _FLAG),
    Feature("new_entry_mode", "flag", "an entry mode new to this card", "该卡首次使用的输入方式", _FLAG, False),
    Feature("entry_mode_rare", "share", "how rarely this card uses this entry mode", "该卡使用此输入方式的罕见程度", _FLAG),
    Feature("hour_rarity", "share", "how rarely this card is used at this hour", "该卡在此时段使用的罕见程度", _FLAG),
    Feature("seconds_since_last", "seconds", "time since the card's last attempt", "距上一笔交易的时间", _half_at(3_600, 1.0)),
    Feature("km_from_last", "km", "distance from the card's last place", "距上一交易地点的距离", _half_at(100)),
    Feature("speed_kmh", "km/h", "speed needed from the card's last place", "自上一交易地点所需的速度", _half_at(300)),
    Feature("declines_1h", "count", "declined attempts within about an hour", "约1小时内被拒次数", _half_at(2)),
    Feature("declines_24h", "count", "declined attempts within about a day", "约24小时内被拒次数", _half_at(3), False),
    Feature("card_checks_1h", "count", "card checks within about an hour", "约1小时内验卡次数", _half_at(2)),
    Feature("abroad", "flag", "outside the card's home country", "在发卡所属国家或地区以外", _FLAG),
    Feature("transactions_seen", "count", "attempts seen on this card before", "该卡此前已见交易数", _half_at(50), False),
    Feature("days_known", "days", "days since the card was first seen", "该卡首次出现至今的天数", _half_at(30), False),
    Feature("mean_24h_ratio", "", "mean amount within about a day, times the card's usual", "约1天内的平均金额为该卡通常金额的倍数", _half_at(3, 0.25), False),
    Feature("mean_7d_ratio", "", "mean amount within about a week, times the card's usual", "约7天内的平均金额为该卡通常金额的倍数", _half_at(3, 0.25), False),
    Feature("max_14d_ratio", "", "largest of the card's last eight amounts within 14 days, times its usual", "该卡最近八笔中14天内最大金额为通常金额的倍数", _half_at(3, 0.25), False),
)  # fmt: skip
"""In the order of `pipeline.core.profile.advance`'s tuple."""

MOMENT_FEATURES: Final = (
    Feature("hour_of_day", "hours", "hour of the day, UTC", "交易时刻（UTC，小时）", _between(0.0, 24.0, 0.5), False),
    Feature("mcc_code", "code", "merchant category code as a number", "商户类别码（数值）", _between(0.0, 9_999.0, 0.5), False),
    Feature("entry_mode_code", "code", "entry mode as a number: 0 chip, 1 contactless, 2 magstripe, 3 manual, 4 ecommerce, 5 stored", "输入方式（数值）：0 芯片、1 非接触、2 磁条、3 手工、4 电商、5 存储", _between(0.0, 5.0, 0.5), False),
)  # fmt: skip
"""In the order of `pipeline.core.moment.moments`: what the transaction says by itself, for a classifier to put into bins."""

CARD_FEATURES: Final = (
    Feature("reported_lost", "flag", "the card was reported lost before this transaction", "交易前该卡已挂失", _FLAG, False),
    Feature("reported_stolen", "flag", "the card was reported stolen before this transaction", "交易前该卡已报失窃", _FLAG, False),
    Feature("days_since_replaced", "days", "days since this card took the place of another", "该卡替换旧卡至今的天数", _half_at(30, 1.0), False),
    Feature("days_since_wallet_added", "days", "days since the card was last added to a wallet", "该卡最近一次加入移动钱包至今的天数", _half_at(30, 1.0), False),
)  # fmt: skip
"""In the order of `pipeline.core.card_note.note_features`: what the bank said of the card itself."""

MERCHANT_FEATURES: Final = (
    Feature("merchant_amount_z", "deviations", "deviations above the merchant's usual amount, on a log scale", "对数金额偏离该商户平常的标准差数", _between(-4, 8, 1 / 3), False),
    Feature("merchant_count_24h_ratio", "", "times the merchant's usual number a day", "商户日交易次数为平常的倍数", _half_at(3, 0.25), False),
    Feature("merchant_new_cards_1h_ratio", "", "times the merchant's usual number of new cards in an hour", "商户一小时内新卡数为平常的倍数", _half_at(3, 0.25), False),
    Feature("merchant_age_days", "days", "days since the merchant was first seen", "商户首次出现至今的天数", _half_at(30, 1.0), False),
)  # fmt: skip
"""In the order of `pipeline.core.merchant_habits.NAMES`: what the learner tells of the merchant, or where none is named of
the terminal, without any label."""

CUSTOMER_FEATURES: Final = (
    Feature("hours_since_contact_changed", "hours", "hours since the customer's phone, e-mail or address was changed", "距客户电话、邮箱或地址变更的小时数", _half_at(24, 1.0), False),
    Feature("hours_since_sim_swap", "hours", "hours since the customer's SIM card was swapped", "距客户 SIM 卡更换的小时数", _half_at(24, 1.0), False),
    Feature("hours_since_device_added", "hours", "hours since the customer added a device", "距客户新增设备的小时数", _half_at(24, 1.0), False),
    Feature("hours_since_pin_changed", "hours", "hours since the customer's PIN was changed", "距客户密码变更的小时数", _half_at(24, 1.0), False),
    Feature("logins_failed_24h", "count", "log-ins of the customer that failed in 24 hours, at most 16", "客户24小时内登录失败次数（至多16）", _half_at(3), False),
    Feature("travel_notice", "flag", "1: a travel notice of the customer covers this country now, 0: only other countries", "1：客户此时的出行报备含该国家或地区；0：只含其他国家或地区", _between(0.0, 1.0, 0.5), False),
)  # fmt: skip
"""In the order of `pipeline.core.customer_history.NAMES`: what became of the customer in the last 30 days; missing where
nothing did."""

KINDS: Final = ("terminal", "merchant", "card")
"""The entities whose confirmed frauds are told to every scorer (`pipeline.core.entity_table`)."""


def _labels_of(kind: str, at: str, zh: str) -> tuple[Feature, ...]:
    return (
        Feature(f"{kind}_frauds_unexplained_30d", "count", f"confirmed frauds {at} that nothing else explains, fading over 30 days", f"{zh}上其自身行为未能解释的已确认欺诈，30天内渐减", _half_at(1), False),
        Feature(f"{kind}_frauds_explained_30d", "count", f"confirmed frauds {at} that their own behaviour explains, fading over 30 days", f"{zh}上其自身行为已能解释的已确认欺诈，30天内渐减", _half_at(1), False),
        Feature(f"{kind}_fraud_share_30d", "share", f"share of frauds among what is known {at}, fading over 30 days", f"{zh}已有结论的交易中欺诈的占比，30天内渐减", _FLAG, False),
        Feature(f"{kind}_fraud_run", "count", f"confirmed frauds {at} since the last genuine transaction known", f"{zh}自最近一笔已确认真实交易以来的已确认欺诈", _half_at(1), False),
        Feature(f"{kind}_fraud_run_days", "days", f"days since these frauds {at} began", f"{zh}上这些欺诈开始至今的天数", _half_at(14, 1.0), False),
        Feature(f"{kind}_genuine_since_fraud", "count", f"genuine transactions known {at} since the last fraud", f"{zh}自最近一笔欺诈以来已确认真实的交易数", _half_at(3, 1.0), False),
    )  # fmt: skip


ENTITY_FEATURES: Final = (
    *_labels_of("terminal", "at this terminal", "该终端"),
    *_labels_of("merchant", "at this merchant", "该商户"),
    *_labels_of("card", "on this card", "该卡"),
)
"""What labels say, in the order of `EntityTable.features`: for each of `KINDS` those of `entity_history.NAMES`. No model
that learns without labels sees them."""
assert len(ENTITY_FEATURES) == len(KINDS) * len(NAMES)

CATALOGUE: Final = (
    *FEATURES, *MOMENT_FEATURES, *CARD_FEATURES, *MERCHANT_FEATURES, *CUSTOMER_FEATURES, *ENTITY_FEATURES,
)  # fmt: skip
"""All columns of a scored transaction."""

MODEL_FEATURES: Final = tuple(feature.name for feature in FEATURES if feature.modelled)
"""What the half-space trees see. Left out: what repeats another feature, and what tells a young card from an old one."""

SURPRISE_FEATURES: Final = (
    "amount", "amount_ratio", "amount_z", "mean_24h_ratio", "mean_7d_ratio", "max_14d_ratio",
    "count_1h", "count_24h", "count_24h_ratio", "hour_rarity", "entry_mode_rare", "speed_kmh",
    "declines_1h", "declines_24h", "card_checks_1h",
)  # fmt: skip
"""What the surprise looks at: large values of these are what fraud has in common, wherever it is (docs/adr/0019)."""

LAYOUT: Final = blake2b(
    repr([(feature.name, *feature.scale, feature.modelled) for feature in CATALOGUE]).encode(), digest_size=8
).hexdigest()
"""Fingerprint of names, order and scalings: numbers made under one layout mean nothing under another."""


NUMBER_OF: Final = {feature.name: number for number, feature in enumerate(CATALOGUE)}
"""Column in the matrix by name."""

SCALES: Final = np.array([feature.scale for feature in CATALOGUE], dtype=np.float64)
"""float64[C, 4], for each feature of `CATALOGUE` its `Scale` as numbers: what a classifier of labels takes with it."""
SCALES.setflags(write=False)

UNIT: Final = Scaling.of(
    [NUMBER_OF[name] for name in MODEL_FEATURES], [SCALES[NUMBER_OF[name]] for name in MODEL_FEATURES]
)
"""What the half-space trees see of a matrix (float64[n, C]): `MODEL_FEATURES` in 0…1, nothing missing."""
