"""A candidate policy, or another model, tried on past decisions.

With a policy alone, the archive weighs each row by SQL and the scorer's code says what it amounts to. With a model the
rows are scored again in pieces, by the scorer's code throughout, and decided by the candidate, or each by its own policy.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.scorer import Model
from pipeline.core.archive_counters import COUNTED, values_of
from pipeline.core.columns import SCHEMA
from pipeline.core.control_group import milder
from pipeline.core.decide import Judgement, Verdicts, decide, judged
from pipeline.core.decision import Outcome, summarise
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.lists import LIST_COLUMNS, NO_LISTS, Lists
from pipeline.core.policy import Policy, PolicyError
from pipeline.lab.whatif.answer import Answer, Change, Known, Move, Side
from pipeline.lab.whatif.candidate import Refused, beside, could_change, rules_of, same_lists, weighing
from pipeline.ports_archive import NOTHING_BESIDE, Archive, PastVersions, Redecided, Trials, Weighed

AT_A_TIME = 50_000
"""Rows scored again together: some 100 MB."""
_FEATURES = tuple(feature.name for feature in CATALOGUE)
_PLACES = ("source_partition", "source_offset")
_NEEDED = (*_PLACES, "id", "layout", "currency", "scored", "outcome", "policy_version")
_MEASURES = ("score", "percentile")


class Means(NamedTuple):
    """Where past decisions are, with their versions; ``parse`` reads a policy; ``lists``: the bank's, as they are now."""

    trials: Trials
    archive: Archive
    past: PastVersions
    parse: Callable[[str, str], Policy]
    lists: Lists = NO_LISTS


class Question(NamedTuple):
    """``policy`` None: each row's own; ``model`` with its version, None: the scores as they were. Days of arrival, UTC;
    labels as known at ``known_at_ms``; the ``top`` greatest changes are told one by one."""

    policy: Policy | None
    model: tuple[str, Model] | None
    first: date
    last: date
    known_at_ms: int
    top: int


def try_out(question: Question, means: Means) -> Answer:
    """Raises `Refused` where past rows do not hold what is asked for, OSError where they cannot be read."""
    asks = question.policy is None or bool(question.policy.asked_counters)
    told = means.trials.counters(question.first, question.last) if asks else ()
    more = NOTHING_BESIDE if question.policy is None else beside(question.policy, told, means.lists)
    versions = means.trials.open(question.first, question.last, question.known_at_ms, more)
    if question.model is None:
        assert question.policy is not None
        _weigh(question.policy, {version: _kept(version, means) for version in versions}, means)
    else:
        _score(question, question.model[1], _asked(question, versions, told, means), means)
    return _answer(question, means.trials.figures(question.top))


# --- a policy by itself


def _weigh(candidate: Policy, past: Mapping[str, Policy | None], means: Means) -> None:
    trials = means.trials
    level, masks = weighing(candidate)
    ways = trials.weigh(level, masks, could_change(candidate, past, means.lists))
    found = [(way, judged(candidate, way.level, rules_of(way.masks))) for way in ways]
    trials.judge(found, _let_off(candidate, found, trials))


def _let_off(candidate: Policy, found: Sequence[tuple[Weighed, Judgement]], trials: Trials) -> Mapping[int, Judgement]:
    """Of the control group: row → its milder outcome."""
    group = candidate.control_group
    if group is None:
        return {}
    let_off: dict[int, Judgement] = {}
    for way, each in found:
        if each.outcome is Outcome.approve or each.hard:
            continue
        actions = milder(each.actions)
        mild = each._replace(actions=actions, outcome=summarise(actions))
        for number, identifier, amount in zip(*trials.draws([way], group.max_amount), strict=True):
            if group.holds(identifier, amount):
                let_off[number] = mild
    return let_off


# --- with a model


def _asked(question: Question, versions: Iterable[str], told: Sequence[str], means: Means) -> Mapping[str, Policy]:
    """By version, the policy that decides again what that one decided."""
    policies: dict[str, Policy] = {}
    for version in versions:
        policy = question.policy or _kept(version, means)
        if policy is None:
            raise Refused(
                f"{version}: the text of this policy, by which rows of these days were decided, is not kept; give one "
                "with --policy"
            )
        if question.policy is None:
            beside(policy, told, means.lists)
            if not same_lists(policy, version, means.lists):
                raise Refused(
                    f"{version}: the bank's lists that this policy asked have been changed since, and what they held is "
                    "not kept; give a policy with --policy, to be asked with the lists as they are now"
                )
        policies[version] = policy
    return policies


def _score(question: Question, model: Model, policies: Mapping[str, Policy], means: Means) -> None:
    wanted = sorted({*_NEEDED, *_MEASURES, *_FEATURES, *SCHEMA, "at", "counters", *COUNTED, *LIST_COLUMNS})
    for rows in means.archive.columns(question.first, question.last, wanted, "", AT_A_TIME):
        askable = (rows["scored"] == 1) & (rows["layout"] == LAYOUT) & (rows["currency"] != None)  # noqa: E711 - an array
        if not askable.any():
            continue
        rows = {name: column[askable] for name, column in rows.items()}
        matrix = np.column_stack([rows[name] for name in _FEATURES])
        _, percentile, score = model.scores(matrix)
        rows |= {"percentile": percentile, "score": score}
        for version, chosen in _by_version(rows["policy_version"]):
            taken = {name: column[chosen] for name, column in rows.items()}
            means.trials.decided(_decided(policies[version], taken, means.lists))
    means.trials.judge_decided()


def _by_version(versions: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    for version in sorted(set(versions.tolist())):
        yield version, np.flatnonzero(versions == version)


def _decided(policy: Policy, rows: dict[str, NDArray[Any]], lists: Lists) -> Redecided:
    """Of the rows that have all counters which ``policy`` asks."""
    whole = np.ones(len(rows["id"]), dtype=np.bool_)
    for name, fingerprint in policy.asked_counters.items():
        there, rows[name] = values_of(rows, fingerprint)
        whole &= there
    rows = {name: column[whole] for name, column in rows.items()}
    ids = rows["id"]
    for use in policy.lists:
        past = zip(rows[use.column].tolist(), rows["at"].tolist(), strict=True)
        rows[str(use)] = lists.hold(use, past, len(ids))
    verdicts = decide(policy, rows, len(ids), None, lambda index: str(ids[index]))
    matter = np.flatnonzero((verdicts.outcome > 0) | (rows["outcome"] != Outcome.approve.name))
    partitions, offsets = (rows[name][matter].astype(np.int64) for name in _PLACES)
    return Redecided(partitions, offsets, [_judgement(verdicts, index) for index in matter.tolist()])


def _judgement(verdicts: Verdicts, index: int) -> Judgement:
    reasons = tuple(reason.code for reason in verdicts.reasons(index))
    return Judgement(verdicts.actions(index), Outcome(int(verdicts.outcome[index])), reasons, verdicts.hard(index))


# --- both


def _kept(version: str, means: Means) -> Policy | None:
    """The past policy of this version; None where its text is not kept, or cannot be read any more."""
    plain = version.partition("+")[0]
    text = means.past.policy(plain)
    try:
        policy = None if text is None else means.parse(text, version)
    except PolicyError:
        return None
    return policy if policy is not None and policy.version == plain else None


def _answer(question: Question, found: Mapping[str, Any]) -> Answer:
    whole = {name: int(found[name]) for name in ("transactions", "cards", "days", "as_recorded", "labels", "changed")}
    return Answer(
        policy=None if question.policy is None else question.policy.version,
        lists=sorted({use.name for use in question.policy.lists}) if question.policy is not None else [],
        model=None if question.model is None else question.model[0],
        first=question.first.isoformat(),
        last=question.last.isoformat(),
        known_at=datetime.fromtimestamp(question.known_at_ms / 1000, UTC).isoformat(timespec="seconds"),
        frauds=Known(*found["frauds"]),
        label_delay_days=found["label_delay_days"],
        before=_side(found["before"], found),
        after=_side(found["after"], found),
        moves=[Move(*move) for move in found["moves"]],
        changes=[_change(*change) for change in found["changes"]],
        **whole,
    )


def _side(side: Mapping[str, Any], found: Mapping[str, Any]) -> Side:
    def rate(count: int, of: str, times: float) -> float:
        return count / found[of] * times if found[of] else 0.0

    return Side(
        alerts_per_10000=rate(side["alerts"], "transactions", 10_000),
        contacts_a_day=rate(side["contacts"], "days", 1),
        held_per_10000_cards=rate(side["held"], "cards", 10_000),
        **{**side, "caught": Known(*side["caught"]), "missed": Known(*side["missed"])},
    )


def _change(
    identifier: str, card: str, time: str, value: int, before: str, after: str, reasons: str | None, fraud: bool | None
) -> Change:
    return Change(identifier, card, time, value, before, after, (reasons or "").split(), fraud)
