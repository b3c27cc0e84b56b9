"""The words of an explanation: English, Chinese."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Language = Literal["en", "zh"]

LABELS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "transaction": ("Transaction", "交易"),
    "card": ("card", "卡片"),
    "time": ("time", "交易时间"),
    "amount": ("amount", "金额"),
    "unknown": ("not known any more", "已无记录"),
    "decision": ("Decision", "决策"),
    "decided_at": ("decided at", "决策时间"),
    "policy": ("policy", "策略版本"),
    "model": ("model", "模型版本"),
    "warming_up": (" (had learned nothing yet)", "（尚未完成首轮学习）"),
    "challenger": ("challenger", "挑战者模型"),
    "degraded": (" (degraded)", "（降级运行）"),
    "score": ("Score", "评分"),
    "percentile": ("percentile", "百分位"),
    "no_score": ("No score: it was approved as a reversal, clearing or credit, or its score is not in the archive",
                 "无评分：该笔为冲正、清算或入账类交易而直接通过，或其评分未进入归档"),
    "reasons": ("Reasons", "原因"),
    "policy_not_at_hand": ("the policy that decided is not at hand", "当时的策略文本已不可得"),
    "none": ("none", "无"),
    "threshold": ("threshold for", "评分门槛"),
    "grounds": ("What the score comes from (log odds of fraud, above the usual)", "评分由何而来（欺诈对数几率，高于平常的部分）"),
    "rules_hit": ("Rules that hit", "命中的规则"),
    "rules_near": ("Rules that nearly hit", "接近命中的规则"),
    "features": ("Features", "特征"),
    "missing": ("missing", "缺失"),
    "again": ("Computed again", "重新计算"),
    "same": ("the same, to the last bit", "与记录逐位一致"),
})  # fmt: skip

WHY: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "never_scored": ("nothing to compute: it has no score", "无需计算：该笔没有评分"),
    "other_features": ("not possible: it was scored under another catalogue of features, with another release",
                       "无法重算：当时使用的是另一版本的特征目录（其他发行版）"),
    "score_gone": ("not possible: the scores under the decision's versions are not in the archive",
                   "无法重算：归档中没有该决策所用版本的评分"),
    "model_gone": ("not possible: the model of that version was not kept", "无法重算：该版本的模型未保留"),
    "model_unreadable": ("not possible: the kept model of that version cannot be read by this release, or is damaged",
                         "无法重算：所保留的该版本模型无法由当前发行版读取，或已损坏"),
    "other_curve": ("the measure and the percentile are the same, the probability is not: models/prior.toml has been "
                    "changed since (recorded / computed)",
                    "异常度与百分位一致，概率不同：models/prior.toml 在此之后被修改过（记录值 / 重算值）"),
    "score_differs": ("NOT the same (recorded / computed)", "与记录不一致（记录值 / 重算值）"),
    "policy_gone": ("not possible: the policy of that version was not kept", "无法重算：该版本的策略未保留"),
    "policy_unreadable": ("not possible: the kept policy of that version cannot be read by this release",
                          "无法重算：所保留的该版本策略无法由当前发行版读取"),
    "not_archived": ("not possible: that policy asks counters of the bank's own whose values are not in the archive",
                     "无法重算：该策略使用了银行自定义的计数器，而归档中没有其数值"),
    "other_lists": ("not possible: the bank's lists that policy asked have been changed since",
                    "无法重算：该策略所用的银行名单此后已有改动"),
    "transaction_gone": ("not possible: the transaction itself is not in the archive", "无法重算：归档中没有该笔交易本身"),
    "decision_differs": ("NOT the same (recorded / computed)", "与记录不一致（记录值 / 重算值）"),
})  # fmt: skip
"""What stands beside a result that is not `same`, by its code."""

UNITS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "": ("×", "倍"),
    "minor": ("minor units", "最小货币单位"),
    "flag": ("", ""),
    "share": ("", ""),
    "count": ("", "次"),
    "deviations": ("deviations", "个标准差"),
    "seconds": ("s", "秒"),
    "hours": ("h", "小时"),
    "code": ("", ""),
    "km": ("km", "公里"),
    "km/h": ("km/h", "公里/小时"),
    "days": ("days", "天"),
})  # fmt: skip
"""Of `pipeline.core.features.Feature.unit`, as said behind a value."""
