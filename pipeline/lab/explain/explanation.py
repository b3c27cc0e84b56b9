"""What is told of a past decision: the record of it, and what computing it again came to."""

from typing import Literal

import msgspec

from pipeline.lab.explain.near import RuleSeen, Value

Verdict = Literal["same", "differs", "not_possible"]


class Again(msgspec.Struct, frozen=True):
    """One thing computed again. ``why``: a code of `words`, where it is not the same; ``recorded`` and ``computed``
    where they differ."""

    verdict: Verdict
    why: str | None = None
    recorded: dict[str, Value] = {}
    computed: dict[str, Value] = {}


class FeatureValue(msgspec.Struct, frozen=True):
    """``value`` exactly as it was; None: missing. ``modelled``: whether what the model learned without labels looks at it."""

    name: str
    value: float | None
    unit: str
    meaning_en: str
    meaning_zh: str
    modelled: bool


class ToldReason(msgspec.Struct, frozen=True):
    """A reason code with its sentence by language."""

    code: str
    words: dict[str, str]


class GroundTold(msgspec.Struct, frozen=True):
    """A group of features: how much more than usually it added to the log odds of fraud, with a sentence by language."""

    code: str
    log_odds: float
    words: dict[str, str]


class ShadowSeen(msgspec.Struct, frozen=True):
    """A challenger that scored the transaction too, and decided nothing."""

    model_version: str
    score: float
    again: Again


class Limit(msgspec.Struct, frozen=True):
    """A threshold of the policy: from ``score`` up, ``outcome``."""

    score: float
    outcome: str
    reached: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Times RFC 3339; ``amount`` in minor units of ``currency``. ``reasons``, ``rules`` and ``thresholds`` are
    those of the policy that decided, None where its text is no longer at hand. ``grounds``: what the score comes from, by
    group of features, the heaviest first; None where no classifier gave it, or its model is no longer at hand."""

    transaction: str
    card: str
    time: str
    amount: int | None
    currency: str | None
    outcome: str
    actions: dict[str, str]
    decided_at: str
    policy_version: str
    model_version: str
    warming_up: bool
    degraded: bool
    scored: bool
    raw: float | None
    score: float | None
    percentile: float | None
    features: list[FeatureValue]
    reasons: list[ToldReason] | None
    thresholds: list[Limit] | None
    rules: list[RuleSeen] | None
    grounds: list[GroundTold] | None
    score_again: Again
    decision_again: Again
    shadow: list[ShadowSeen] = []

    @property
    def differs(self) -> bool:
        every = (self.score_again, self.decision_again, *(one.again for one in self.shadow))
        return "differs" in (each.verdict for each in every)
