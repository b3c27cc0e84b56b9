"""Past rows scored again by another model, in pieces, by the scorer's code throughout."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.scorer import Model
from pipeline.core.archive_counters import COUNTED, values_of
from pipeline.core.columns import SCHEMA
from pipeline.core.decide import Judgement, Verdicts, decide
from pipeline.core.decision import Outcome
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.lists import LIST_COLUMNS, NO_LISTS, Lists
from pipeline.core.policy import Policy, PolicyError
from pipeline.core.tag_use import TAGS_COLUMN
from pipeline.lab.whatif.block import Block, Places, askable
from pipeline.lab.whatif.candidate import Refused, columns_of, same_lists
from pipeline.lab.whatif.deciding import Book, Decided
from pipeline.lab.whatif.window import Progress, Window
from pipeline.ports_archive import Archive, PastVersions

AT_A_TIME = 50_000
"""Rows scored again together: some 100 MB."""
_FEATURES = tuple(feature.name for feature in CATALOGUE)
_PLACES = ("source_partition", "source_offset")
_NEEDED = (*_PLACES, "id", "layout", "currency", "scored", "outcome", "policy_version")
_MEASURES = ("score", "percentile")


class Means(NamedTuple):
    """Where past decisions are, with their versions; ``parse`` reads a policy; ``lists``: the bank's, as they are now."""

    archive: Archive
    past: PastVersions
    parse: Callable[[str, str], Policy]
    lists: Lists = NO_LISTS


def decided_again(
    policy: Policy | None, model: Model, window: Window, means: Means, book: Book, progress: Progress
) -> Sequence[tuple[Block, Decided]]:
    """By block, the rows that are more than plainly approved, or were, decided by ``policy``, None: each by its own."""
    versions = {way.policy_version for block in window.blocks for way in block.ways if askable(way)}
    policies = _asked(policy, sorted(one for one in versions if one is not None), window, means)
    parts: dict[int, list[tuple[Places, Sequence[Judgement]]]] = {}
    done, whole = 0, sum(block.n for block in window.blocks)
    wanted = sorted({*_NEEDED, *_MEASURES, *_FEATURES, *SCHEMA, "at", "counters", *COUNTED, *LIST_COLUMNS, TAGS_COLUMN})
    for rows in means.archive.columns(window.first, window.last, wanted, "", AT_A_TIME):
        done += len(rows["id"])
        progress(done, whole)
        for places, judgements in _scored(rows, policies, model, means.lists):
            for number, block in enumerate(window.blocks):
                here = block.here(places)
                mine = [each for each, there in zip(judgements, here.tolist(), strict=True) if there]
                parts.setdefault(number, []).append(((places[0][here], places[1][here]), mine))
    return [(block, _together(block, parts.get(number, ()), book)) for number, block in enumerate(window.blocks)]


def _together(block: Block, parts: Sequence[tuple[Places, Sequence[Judgement]]], book: Book) -> Decided:
    judgements = [each for _, some in parts for each in some]
    none = np.empty(0, np.int64)
    positions = np.concatenate([none, *(block.positions(places) for places, _ in parts)])
    order = np.argsort(positions)
    numbers = np.array([book.of(each) for each in judgements], dtype=np.int32)
    return Decided(positions[order], numbers[order], order, [each.reasons for each in judgements])


def _asked(given: Policy | None, versions: Sequence[str], window: Window, means: Means) -> Mapping[str, Policy]:
    """By version, the policy that decides again what that one decided."""
    policies: dict[str, Policy] = {}
    if given is not None:
        columns_of(given, window.counters, means.lists)
    for version in versions:
        policy = given or _kept(version, means)
        if policy is None:
            raise Refused(
                f"{version}: the text of this policy, by which rows of these days were decided, is not kept; give one "
                "with --policy"
            )
        if given is None:
            columns_of(policy, window.counters, means.lists)
            if not same_lists(policy, version, means.lists):
                raise Refused(
                    f"{version}: the bank's lists that this policy asked have been changed since, and what they held is "
                    "not kept; give a policy with --policy, to be asked with the lists as they are now"
                )
        policies[version] = policy
    return policies


def _kept(version: str, means: Means) -> Policy | None:
    """The past policy of this version; None where its text is not kept, or cannot be read any more."""
    plain = version.partition("+")[0]
    text = means.past.policy(plain)
    try:
        policy = None if text is None else means.parse(text, version)
    except PolicyError:
        return None
    return policy if policy is not None and policy.version == plain else None


def _scored(
    rows: dict[str, NDArray[Any]], policies: Mapping[str, Policy], model: Model, lists: Lists
) -> Iterator[tuple[Places, Sequence[Judgement]]]:
    again = (rows["scored"] == 1) & (rows["layout"] == LAYOUT) & (rows["currency"] != None)  # noqa: E711 - an array
    if not again.any():
        return
    rows = {name: column[again] for name, column in rows.items()}
    matrix = np.column_stack([rows[name] for name in _FEATURES])
    _, percentile, score = model.scores(matrix)
    rows |= {"percentile": percentile, "score": score}
    versions = rows["policy_version"]
    for version in sorted(set(versions.tolist())):
        chosen = np.flatnonzero(versions == version)
        yield _decided(policies[version], {name: column[chosen] for name, column in rows.items()}, lists)


def _decided(policy: Policy, rows: dict[str, NDArray[Any]], lists: Lists) -> tuple[Places, Sequence[Judgement]]:
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
    for asked in policy.tags:
        rows[str(asked)] = np.array([asked.of(tags) for tags in rows[TAGS_COLUMN].tolist()])
    verdicts = decide(policy, rows, len(ids), None, lambda index: str(ids[index]))
    matter = np.flatnonzero((verdicts.outcome > 0) | (rows["outcome"] != Outcome.approve.name))
    partitions, offsets = (rows[name][matter].astype(np.int64) for name in _PLACES)
    return (partitions, offsets), [_judgement(verdicts, index) for index in matter.tolist()]


def _judgement(verdicts: Verdicts, index: int) -> Judgement:
    reasons = tuple(reason.code for reason in verdicts.reasons(index))
    return Judgement(verdicts.actions(index), Outcome(int(verdicts.outcome[index])), reasons, verdicts.hard(index))
