"""`cardwatch explain` of policies with counters and lists of the bank's own: values of then, to the last bit."""

from collections import Counter

import pytest
from explain_world import KEEN, LISTS, OWN, Past

from pipeline.adapters.memory import FixedClock
from pipeline.adapters.parquet_deciders import ParquetDeciders
from pipeline.core.archive_counters import column_of, counters_sql, names_and_fingerprints
from pipeline.core.lists import Lists, parse_list
from pipeline.lab.explain.recompute import Explainer
from pipeline.lab.explain.telling import tell
from pipeline.roles.archive.versions import VersionKeeper


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    found = Past(tmp_path_factory.mktemp("archive"), 340, (KEEN, OWN))
    keeper = VersionKeeper(found.kept, ParquetDeciders(found.root), FixedClock(), 0)
    for record in found.controls:
        keeper.meet(record)
    return found


def test_decisions_by_counters_and_lists_come_out_the_same(past: Past) -> None:
    rows = [row for row in past.rows().values() if row["policy_version"].startswith("own@")]
    explainer = Explainer(past.means)
    explained = [explainer.explain(row) for row in rows]
    assert Counter(one.decision_again.verdict for one in explained) == {"same": len(rows)}
    hit = Counter(rule.name for one in explained for rule in one.rules or () if rule.hit)
    assert min(hit[name] for name in ("often_now", "abroad", "listed", "tagged")) > 5, hit
    listed = next(one for one in explained if any(rule.name == "listed" and rule.hit for rule in one.rules or ()))
    assert "in_list(merchant, 'hot') = 1" in tell(listed, "en")
    tagged = next(one for one in explained if any(rule.name == "tagged" and rule.hit for rule in one.rules or ()))
    assert "has_tag('frequent') = 1" in tell(tagged, "en")


def test_another_value_another_list_and_a_counter_that_was_not_there_are_noticed(past: Past) -> None:
    rows = past.rows().values()
    row = next(r for r in rows if r["counters"] and r["contact_action"] == "verify" and r["counted_1"] >= 2)
    found = Explainer(past.means).explain(row | {"counted_1": 0.0})
    assert (found.decision_again.verdict, found.decision_again.why) == ("differs", "decision_differs")
    found = Explainer(past.means).explain(row | {"counters": None})
    assert found.decision_again.why == "not_archived"
    row = next(
        r
        for r in rows
        if r["tags"] == "frequent" and r["outcome"] == "notify" and r["policy_version"].startswith("own@")
    )
    assert Explainer(past.means).explain(row).decision_again.verdict == "same"
    assert Explainer(past.means).explain(row | {"tags": ""}).decision_again.why == "decision_differs"
    other = Lists([parse_list("hot", 'column = "merchant"\n[entries]\nm1 = "always"\n', "hot.toml")])
    for lists in (other, Lists()):
        found = Explainer(past.means._replace(lists=lists)).explain(row)
        assert found.decision_again.why == "other_lists"
    assert other.by_name["hot"].digest != LISTS.by_name["hot"].digest


def test_a_counter_is_found_by_what_it_counts() -> None:
    told = names_and_fingerprints(["a", "b"], ["f1", "f2"])
    assert column_of(told, "f2") == "counted_2"
    assert column_of(told, "b") is None
    assert column_of(None, "f1") is None
    assert names_and_fingerprints(["a"], []) is None, "of before definitions were told"
    values, whole = counters_sql([told or "", "c=f2"], {"mine": "f2", "other": "f1"})
    assert values["mine"] == "CASE counters WHEN 'a=f1 b=f2' THEN counted_2 WHEN 'c=f2' THEN counted_1 END"
    assert "c=f2" not in whole
    assert counters_sql([], {"mine": "f9"}) == ({"mine": "CAST(NULL AS DOUBLE)"}, "false")


def test_a_row_of_before_there_were_counters_is_explained(past: Past) -> None:
    row = next(row for row in past.rows().values() if row["policy_version"].startswith("keen@") and row["scored"])
    old = {name: value for name, value in row.items() if not name.startswith("counte")}
    assert Explainer(past.means).explain(old).decision_again.verdict == "same"
