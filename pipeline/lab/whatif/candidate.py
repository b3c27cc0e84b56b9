"""Whether past rows can be asked by a policy, and where the archive has what it asks beside its own columns."""

from collections.abc import Mapping, Sequence

from pipeline.core.archive_columns import SCORED_COLUMNS
from pipeline.core.archive_counters import column_of, counters_sql
from pipeline.core.lists import Lists
from pipeline.core.policy import Policy


class Refused(Exception):
    """A policy that past rows cannot be asked by: a sentence."""


def columns_of(policy: Policy, told: Sequence[str], lists: Lists) -> Mapping[str, str]:
    """Name → SQL over the archive's columns, of what ``policy`` looks at beside these: its counters, and its questions of
    lists and tags. ``told``: what the archive says in ``counters`` (`archive_counters`); ``lists`` as they are now. Raises
    `Refused` for a policy that asks what there is not."""
    asked = policy.asked_counters
    for name, fingerprint in asked.items():
        if name in SCORED_COLUMNS:
            raise Refused(f"{name}: the archive has a column of that name; give the counter another to try it")
        if not any(column_of(one, fingerprint) for one in told):
            raise Refused(
                f"{name}: this counter has no past yet in the archive of these days, which keeps the values of counters "
                "that policies had in force. Put it in force first, without a rule that asks it; `cardwatch backfill "
                "--counters` gives it a value on known cards at once"
            )
    if wrong := policy.unmet(lists):
        raise Refused(wrong[0])
    of_lists = {str(use): use.sql() for use in policy.lists}
    of_tags = {str(use): use.sql() for use in policy.tags}
    return {**counters_sql(told, asked)[0], **of_lists, **of_tags}


def same_lists(policy: Policy, version: str, lists: Lists) -> bool:
    """Whether ``policy``, which decided under ``version``, asked the same lists as there are now."""
    return not policy.unmet(lists) and policy.in_force(lists).version == version
