"""The words of table and report, in English and Chinese."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


class Figure(NamedTuple):
    """A figure over folds: its name in `--json`, its words, whether it is shown as a percentage."""

    name: str
    en: str
    zh: str
    percent: bool = False


FIGURES: Final = (
    Figure("roc_auc", "ROC AUC", "ROC AUC"),
    Figure("average_precision", "average precision", "平均精度（AP）"),
    Figure("average_precision_all", "average precision, known cards too", "平均精度（含已知问题卡）"),
    Figure("average_precision_raw", "average precision of the raw measure", "平均精度（原始异常度）"),
    Figure("card_precision", "card precision@{k}", "卡片精度@{k}"),
    Figure("card_precision_best", "… the best that was possible", "……理论最大值"),
    Figure("accounts_5", "accounts detected at 5:1", "账户检出率（5:1）", True),
    Figure("accounts_10", "accounts detected at 10:1", "账户检出率（10:1）", True),
    Figure("accounts_20", "accounts detected at 20:1", "账户检出率（20:1）", True),
    Figure("value_5", "value detected at 5:1", "金额检出率（5:1）", True),
    Figure("value_10", "value detected at 10:1", "金额检出率（10:1）", True),
    Figure("value_20", "value detected at 20:1", "金额检出率（20:1）", True),
    Figure("savable_5", "value savable after the first alert at 5:1", "首次告警后可挽回金额（5:1）", True),
    Figure("savable_10", "value savable after the first alert at 10:1", "首次告警后可挽回金额（10:1）", True),
    Figure("savable_20", "value savable after the first alert at 20:1", "首次告警后可挽回金额（20:1）", True),
    Figure("ece_above", "calibration error (ECE), scores ≥ 0.05", "校准误差 ECE（评分 ≥ 0.05）"),
    Figure("ece_above_floor", "… of scores that told the truth", "……评分完全准确时也会有的误差"),
    Figure("ece_above_pooled", "the same error, all folds together", "同一误差，各折合并计算"),
    Figure("ece_above_pooled_floor", "… of scores that told the truth", "……评分完全准确时也会有的误差"),
    Figure("ece", "calibration error (ECE), all", "校准误差 ECE（全部）"),
    Figure("brier", "Brier score", "Brier 分数"),
    Figure("brier_skill", "Brier skill against the base rate", "相对基准率的 Brier 技巧分"),
    Figure("log_odds_slope", "log-odds slope", "对数几率斜率"),
    Figure("log_odds_intercept", "log-odds intercept", "对数几率截距"),
)
"""What is told of folds and files, in order."""

_TABLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "title": ("How good the scores are", "评分效果评估"),
        "simulated": (
            "This stream is simulated. The same methods lose most of their precision on real data.",
            "本数据为模拟数据。同样的方法用在真实数据上，精度会大幅下降。",
        ),
        "simulated_short": ("simulated data", "模拟数据"),
        "settings": (
            "{labels} · {calls} cards called a day · a new model at most every {every} minutes · policy {policy}",
            "{labels} · 每天致电 {calls} 张卡 · 模型最多每 {every} 分钟更新 · 策略 {policy}",
        ),
        "labels_late": ("Labels known {delay} days late", "标签延迟 {delay} 天"),
        "labels_never": ("No label is ever shown", "从不提供标签"),
        "stream": (
            "{scored} of {rows} rows scored · {cards} cards · {frauds} frauds ({rate} %) · {days} days from {midnight}",
            "{rows} 行中评分 {scored} 行 · {cards} 张卡 · 欺诈 {frauds} 笔（{rate} %） · 自 {midnight} 起 {days} 天",
        ),
        "left_out": ("left out: {reasons}", "未评估：{reasons}"),
        "speed": ("{speed} transactions a second", "每秒 {speed} 笔"),
        "mean": ("mean", "均值"),
        "sd": ("± sd", "± 标准差"),
        "fold": ("fold {n}", "第 {n} 折"),
        "day": ("day", "天"),
        "fold_days": ("days {first}–{last}", "第 {first}–{last} 天"),
        "over_files": ("Over {n} files", "{n} 个文件汇总"),
        "over_folds": ("Over the folds", "各折汇总"),
        "figure": ("figure", "指标"),
        "precision_recall": ("Precision and recall", "精确率与召回率"),
        "precision_recall_note": (
            "One line a fold. Recall: the share of the frauds found; precision: the share of the alerts that are fraud.",
            "每折一条线。召回率：找到的欺诈占全部欺诈的比例；精确率：告警中真欺诈的比例。",
        ),
        "recall": ("recall", "召回率"),
        "precision": ("precision", "精确率"),
        "cards_by_day": ("Card precision@{k}, day by day", "逐日卡片精度@{k}"),
        "cards_by_day_note": (
            "Of the {k} cards with the highest score each day, the share with a fraud that day. Outline: the best that was possible.",
            "每天评分最高的 {k} 张卡中，当天确有欺诈的比例。外框为当天理论最大值。",
        ),
        "detection": ("Detected at so many false accounts a true one", "误报比下的检出"),
        "detection_note": (
            "At a:1 there are at most a falsely alerted cards for each detected one. Savable: what came after the first alert.",
            "a:1 表示每检出一张欺诈卡，最多误报 a 张卡。可挽回：首次告警之后发生的欺诈金额。",
        ),
        "accounts": ("accounts", "账户"),
        "value": ("value", "金额"),
        "savable": ("savable", "可挽回"),
        "calibration": ("Is a score of 0.3 three in ten?", "评分 0.3 是否真为三成"),
        "calibration_note": (
            "Groups of equal size by score: their mean score and the share that was fraud. On the line: right. Of few transactions even true scores miss it by chance: by how much stands below the calibration error.",
            "按评分分为等量的组：平均评分与实际欺诈比例。落在对角线上即准确。交易较少时，评分完全准确也会因偶然而偏离；偏离多少，见校准误差下一行。",
        ),
        "mean_score": ("mean score", "平均评分"),
        "share_of_fraud": ("share of fraud", "欺诈比例"),
        "folds_title": ("Fold by fold", "逐折结果"),
        "alerts_title": ("Alerts at a threshold", "各阈值下的告警"),
        "alerts_note": ("All transactions in the folds, the last fold shown.", "按最后一折的全部交易统计。"),
        "threshold": ("threshold", "阈值"),
        "per_10000": ("per 10,000", "每万笔"),
        "outcomes_title": ("What the policy made of 10,000 transactions", "策略对每万笔交易的处置"),
        "kinds_title": ("By kind of fraud", "按欺诈类型"),
        "kinds_note": (
            "Each kind against the genuine transactions alone; the last fold.",
            "每类欺诈只与正常交易比较；取最后一折。",
        ),
        "kind": ("kind", "类型"),
        "transactions": ("transactions", "交易笔数"),
        "cards": ("cards", "卡数"),
        "detected_at_10": ("detected at 10:1", "10:1 检出"),
        "groups_title": ("What each group of features buys", "各组特征的贡献"),
        "groups_note": (
            "Average precision lost when the group is taken for that of a usual transaction, everything else as it was. Nothing is learned anew: of two groups that say the same, each looks worth little.",
            "把该组特征视为平常交易的取值、其余不变时，平均精度的损失。并未重新学习：两组特征若说明同一件事，各自看来都贡献不大。",
        ),
        "group": ("group", "特征组"),
        "lost": ("AP lost", "AP 损失"),
        "delay_title": ("Quality against label delay", "标签延迟对效果的影响"),
        "delay": ("labels late by", "标签延迟"),
        "delay_days": ("{n} days", "{n} 天"),
        "tested": ("tested", "测试笔数"),
        "frauds": ("frauds", "欺诈笔数"),
        "nothing": ("–", "–"),
    }
)


def texts(language: Language) -> Mapping[str, str]:
    """Key → words in ``language``."""
    column = LANGUAGES.index(language)
    return {key: pair[column] for key, pair in _TABLE.items()}


def figure_name(figure: Figure, language: Language, k: int) -> str:
    """What ``figure`` is called, with ``k`` cards a day."""
    return (figure.en if language == "en" else figure.zh).format(k=k)


_GROUPS: Final[Mapping[str, tuple[str, str]]] = {
    "amount": ("amount", "金额"),
    "spending": ("spending lately", "近期消费"),
    "pace": ("pace of payments", "支付频率"),
    "cash": ("cash", "取现"),
    "place": ("place", "地点"),
    "merchant": ("kind of merchant", "商户类型"),
    "merchant_habits": ("the merchant's habits", "商户习惯"),
    "card_reports": ("reports of the card", "卡片变动"),
    "customer_changes": ("changes of the customer", "客户变动"),
    "entry": ("way of paying", "用卡方式"),
    "hour": ("hour", "时段"),
    "refusals": ("refusals", "被拒交易"),
    "card_checks": ("card checks", "验卡"),
    "card_age": ("age of the card", "卡龄"),
    "habits": ("other habits", "其他习惯"),
    "terminal_labels": ("labels at the terminal", "终端的标签"),
    "merchant_labels": ("labels at the merchant", "商户的标签"),
    "card_labels": ("labels of the card", "该卡的标签"),
}


def group_name(code: str, language: Language) -> str:
    """The name of a group of features (`pipeline.core.grounds.GROUPS`)."""
    return _GROUPS[code][LANGUAGES.index(language)]
