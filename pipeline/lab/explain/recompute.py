"""A decided transaction of the archive, explained: its score from the stored features by the model of that version, its
decision by the policy of that version, both by the scorer's own code and held against the record bit by bit."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from models.calibrate import PriorCurve
from models.scorer import DAY_ONE_VERSION, Model
from models.snapshot import SnapshotRefused, open_named
from pipeline.core.archive_counters import value_of
from pipeline.core.columns import SCHEMA
from pipeline.core.counters import with_counters
from pipeline.core.decide import Verdicts, decide
from pipeline.core.decision import Outcome, Reason
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.grounds import grounds, reasons
from pipeline.core.lists import NO_LISTS, Lists
from pipeline.core.policy import Policy, PolicyError
from pipeline.core.poll import Floats
from pipeline.core.tag_use import TAGS_COLUMN
from pipeline.core.words import Words
from pipeline.lab.explain.explanation import Again, Explanation, FeatureValue, GroundTold, Limit, ShadowSeen, ToldReason
from pipeline.lab.explain.near import TakenApart, Value, rules_seen, take_apart
from pipeline.ports_archive import PastVersions

Row = Mapping[str, Any]
MEASURES = ("raw", "percentile", "score")
_json = msgspec.json.Decoder(dict[str, float]).decode
ACTIONS = ("transaction", "card", "contact", "queue")


class Means(NamedTuple):
    """What explaining needs beside the row: past versions, the curve of today, a reader of policies, words by language,
    the bank's lists of today."""

    past: PastVersions
    curve: PriorCurve
    parse: Callable[[str, str], Policy]
    words: Mapping[str, Words]
    lists: Lists = NO_LISTS


class _Taken(NamedTuple):
    """A past policy, with its rules taken apart; ``policy`` None, and ``why``: it cannot be asked."""

    policy: Policy | None
    rules: Sequence[TakenApart] = ()
    why: str = ""


class Explainer:
    """Explains rows; each past model and policy is read once, however many rows it decided."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._models: dict[str, Model | str] = {}
        self._policies: dict[str, _Taken] = {}

    def explain(self, row: Row) -> Explanation:
        """Explain ``row``, one of `Archive.transaction`. Raises OSError where a kept version cannot be read."""
        version = row["policy_version"]
        if version not in self._policies:
            self._policies[version] = _policy(version, self._means)
        taken = self._policies[version]
        why = taken.why or _unasked(row, taken.policy)
        model, words = self._model(row["model_version"]), self._means.words
        more = _more(row, model)
        seen = None if taken.policy is None or why else _Seen(row, taken.policy, more, self._means.lists)
        found = _explained(row, seen, taken.rules, why, model, words, _grounds(row, more, words))
        shadow = _json(row.get("shadow") or "{}")  # files of before there were challengers do not have it
        return msgspec.structs.replace(
            found,
            shadow=[
                ShadowSeen(version, score, _shadow_again(row, score, self._model(version)))
                for version, score in shadow.items()
            ],
        )

    def _model(self, version: str) -> Model | str:
        """The model of ``version``, or why it is not at hand."""
        if version not in self._models:
            self._models[version] = past_model(version, self._means.past, self._means.curve)
        return self._models[version]


def _explained(
    row: Row,
    seen: "_Seen | None",
    rules: Sequence[TakenApart],
    why: str,
    model: Model | str,
    words: Mapping[str, Words],
    told: list[GroundTold] | None,
) -> Explanation:
    """``seen`` None: the policy cannot be asked, for the reason ``why``; ``model`` or why there is none."""
    return Explanation(
        transaction=row["id"],
        card=row["card"],
        time=row["time"],
        amount=_whole(row["transaction_amount"]),
        currency=row["currency"],
        outcome=row["outcome"],
        actions=_recorded_actions(row),
        decided_at=row["decided_at"],
        policy_version=row["policy_version"],
        model_version=row["model_version"],
        warming_up=bool(row["warming_up"]),
        degraded=bool(row["degraded"]),
        scored=bool(row["scored"]),
        **{name: row[name] for name in MEASURES},
        features=_features(row, model),
        reasons=None if seen is None else seen.reasons(words),
        thresholds=None if seen is None or not row["scored"] else seen.thresholds(),
        rules=None if seen is None else rules_seen(rules, seen.columns) if row["scored"] else [],
        grounds=told,
        score_again=_score_again(row, model),
        decision_again=_not_possible(why) if seen is None else seen.again(),
    )


def _not_possible(why: str) -> Again:
    return Again("not_possible", why)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _features(row: Row, model: Model | str) -> list[FeatureValue]:
    if row["layout"] != LAYOUT:
        return []
    snapshot = None if isinstance(model, str) else model.snapshot
    seen = frozenset(() if snapshot is None else snapshot.names)
    return [FeatureValue(one.name, row[one.name], one.unit, one.en, one.zh, one.name in seen) for one in CATALOGUE]


# --- the score


def _score_again(row: Row, model: Model | str) -> Again:
    if not row["scored"]:
        return _not_possible("never_scored")
    if row["layout"] != LAYOUT:
        return _not_possible("other_features")
    if row["raw"] is None:
        return _not_possible("score_gone")
    if isinstance(model, str):
        return _not_possible(model)
    computed = _computed(row, model)
    recorded = {name: row[name] for name in MEASURES}
    other = [name for name in MEASURES if _bits(computed[name]) != _bits(recorded[name])]
    if not other:
        return Again("same")
    why = "other_curve" if other == ["score"] else "score_differs"
    return Again("differs", why, {name: recorded[name] for name in other}, {name: computed[name] for name in other})


def _matrix(row: Row) -> Floats:
    """float64[1, C]: the features of ``row`` as they were."""
    return np.array([[np.nan if row[one.name] is None else row[one.name] for one in CATALOGUE]], dtype=np.float64)


def _more(row: Row, model: Model | str) -> Floats | None:
    """What each feature of ``row`` added to the log odds above the usual, float64[1, C]; None: not known."""
    if isinstance(model, str) or not row["scored"] or row["layout"] != LAYOUT:
        return None
    return model.grounds(_matrix(row))


def _grounds(row: Row, more: Floats | None, words: Mapping[str, Words]) -> list[GroundTold] | None:
    if more is None:
        return None
    return [
        GroundTold(
            one.code,
            one.log_odds,
            {language: some.say(Reason(one.code, one.detail)) for language, some in words.items()},
        )
        for one in grounds(more[0].tolist(), _matrix(row)[0].tolist())
    ]


def _shadow_again(row: Row, recorded: float, model: Model | str) -> Again:
    """The score of a challenger."""
    if row["layout"] != LAYOUT:
        return _not_possible("other_features")
    if isinstance(model, str):
        return _not_possible(model)
    computed = _computed(row, model)["score"]
    if _bits(computed) == _bits(recorded):
        return Again("same")
    return Again("differs", "score_differs", {"score": recorded}, {"score": computed})


def _computed(row: Row, model: Model) -> dict[str, float]:
    """`MEASURES` of ``row`` by ``model``."""
    scores = model.scores(_matrix(row))
    return {name: float(column[0]) for name, column in zip(MEASURES, scores, strict=True)}


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)


def past_model(version: str, past: PastVersions, curve: PriorCurve) -> Model | str:
    """The model of ``version``, or why it is not at hand: a code of `words`."""
    if version == DAY_ONE_VERSION:
        return Model.day_one(LAYOUT, curve)
    sealed = past.model(version)
    if sealed is None:
        return "model_gone"
    try:
        snapshot = open_named(sealed, version)
    except SnapshotRefused:
        return "model_unreadable"
    if snapshot.layout != LAYOUT:
        return "other_features"
    return Model.trained(snapshot, curve)


# --- the decision


def _policy(version: str, means: Means) -> _Taken:
    plain = version.partition("+")[0]
    text = means.past.policy(plain)
    if text is None:
        return _Taken(None, why="policy_gone")
    try:
        policy = means.parse(text, version)
    except PolicyError:
        return _Taken(None, why="policy_unreadable")
    if policy.version != plain:
        return _Taken(None, why="policy_unreadable")
    lists = means.lists
    if policy.unmet(lists) or policy.in_force(lists).version != version:
        return _Taken(None, why="other_lists")
    schema = with_counters(SCHEMA, policy.counter_names)
    return _Taken(policy, [take_apart(rule, schema) for rule in policy.rules])


def _unasked(row: Row, policy: Policy | None) -> str:
    """Why a policy cannot be asked about ``row``; empty: it can."""
    if row["currency"] is None:
        return "transaction_gone"
    if not row["scored"]:
        return ""
    if row["layout"] != LAYOUT:
        return "other_features"
    wanted = {} if policy is None else policy.asked_counters
    return "" if all(value_of(row, each)[0] for each in wanted.values()) else "not_archived"


class _Seen:
    """The one transaction as the policy saw it."""

    def __init__(self, row: Row, policy: Policy, more: Floats | None, lists: Lists) -> None:
        self._policy = policy
        self._row = row
        self.columns = {name: _column(row, name) for name in SCHEMA}
        for name, fingerprint in policy.asked_counters.items():
            self.columns[name] = np.array([value_of(row, fingerprint)[1]], dtype=np.float64)
        for use in policy.lists:
            self.columns[str(use)] = lists.hold(use, [(row[use.column], row["at"])], 1)
        for asked in policy.tags:
            self.columns[str(asked)] = np.array([asked.of(row.get(TAGS_COLUMN))])
        exempt = np.array([not row["scored"]])
        self._verdicts: Verdicts = decide(
            policy, self.columns, 1, exempt, lambda index: str(row["id"]),
            None if more is None else lambda told: reasons(more, _matrix(row)),
        )  # fmt: skip

    def again(self) -> Again:
        actions = self._verdicts.actions(0)
        computed: dict[str, Value] = {name: getattr(actions, name) for name in ACTIONS}
        if actions.scope is not UNSET:
            computed["scope"] = str(actions.scope)
        computed["outcome"] = Outcome(int(self._verdicts.outcome[0])).name
        recorded: dict[str, Value] = {**_recorded_actions(self._row), "outcome": self._row["outcome"]}
        if computed == recorded:
            return Again("same")
        return Again("differs", "decision_differs", recorded, computed)

    def reasons(self, words: Mapping[str, Words]) -> list[ToldReason]:
        return [
            ToldReason(reason.code, {language: some.say(reason) for language, some in words.items()})
            for reason in self._verdicts.reasons(0)
        ]

    def thresholds(self) -> list[Limit]:
        score = self.columns["score"][0]
        return [Limit(each.score, each.outcome.name, bool(score >= each.score)) for each in self._policy.thresholds]


def _column(row: Row, name: str) -> np.ndarray[Any, Any]:
    """Column ``name`` of the one transaction, as rules take it. Scores of what was never scored are 0, as then."""
    value = row[name]
    if SCHEMA[name] == "text":
        return np.array([value], dtype=np.object_)
    if value is None and name in MEASURES and not row["scored"]:
        return np.zeros(1)
    return np.array([value], dtype=np.float64)


def _recorded_actions(row: Row) -> dict[str, str]:
    actions = {name: row[f"{name}_action"] for name in ACTIONS}
    return actions if row["scope"] is None else {**actions, "scope": row["scope"]}
