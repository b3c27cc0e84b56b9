"""What a policy makes of transactions: outcomes, merged actions, reasons strongest first, and nothing from neighbours."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_texts import QUIET, SCHEMA, columns, small_policy

from pipeline.core.decide import CARD, CONTACT, MAX_REASONS, QUEUE, TRANSACTION, decide, figure, merge
from pipeline.core.decision import APPROVE, Actions, Outcome, Reason, summarise

NAN = float("nan")


def verdicts(*rows, exempt=None):
    return decide(small_policy(), columns(*rows), len(rows), None if exempt is None else np.array(exempt))


def codes(reasons):
    return [reason.code for reason in reasons]


def test_nothing_found_is_approved_without_reasons():
    found = verdicts({}, {"score": NAN, "amount_ratio": NAN, "country": None, "recurring": NAN})
    assert found.outcome.dtype == np.uint8
    assert found.outcome.tolist() == [0, 0]
    assert found.alerted.tolist() == []
    assert found.rule_hits == {}
    assert found.actions(0) == APPROVE
    assert found.reasons(0) == []


def test_no_transactions_are_no_decisions():
    empty = {name: values[:0] for name, values in columns({}).items()}
    assert decide(small_policy(), empty, 0).outcome.shape == (0,)


def test_the_highest_threshold_reached_counts():
    found = verdicts({"score": 0.0999}, {"score": 0.1}, {"score": 0.5}, {"score": 1.0})
    assert [Outcome(value).name for value in found.outcome] == ["approve", "notify", "verify", "verify"]
    assert found.actions(1) == Actions(contact="notify")
    assert codes(found.reasons(3)) == ["score_verify"]
    assert found.alerted.tolist() == [1, 2, 3]
    assert found.alerted.dtype == np.int64


def test_it_is_told_whether_rules_brought_the_outcome_or_the_score_alone_would_have():
    found = verdicts(
        {}, {"score": 0.5}, {"country": "XX", "score": 0.01}, {"country": "XX", "score": 0.2}, {"country": "XX", "score": 0.5}
    )  # fmt: skip
    assert [found.by_rule(index) for index in range(5)] == [False, False, True, True, False]


def test_findings_are_merged_part_by_part():
    found = verdicts({"is_cash": 1, "count_1h": 4, "recurring": 1, "amount": 101, "country": "XX", "score": 0.2})
    assert found.actions(0) == Actions("step_up", "hold", "verify", "review", "all")
    assert found.outcome.tolist() == [Outcome.hold]
    assert found.rule_hits == {"cash": 1, "listed": 1, "online": 1}


def test_reasons_come_strongest_first_with_figures_and_never_twice():
    found = verdicts({"is_cash": 1, "count_1h": 4, "amount": 500, "amount_ratio": 7.126, "country": "XX", "score": 0.6})
    assert found.reasons(0) == [
        Reason("listed"),
        Reason("cash", {"count_1h": 4}),
        Reason("large", {"amount_ratio": 7.13, "country": "XX"}),
        Reason("score_verify"),
        Reason("dear", {"amount": 500}),
    ]
    assert len(found.reasons(0)) == MAX_REASONS


def test_explanations_are_of_their_own_row():
    found = verdicts({"score": 0.2, "count_1h": 2}, {}, {"score": 0.2, "amount": 30})
    assert codes(found.reasons(0)) == ["score_notify", "busy"]
    assert codes(found.reasons(2)) == ["score_notify", "dear"]


def test_a_missing_figure_is_left_out():
    found = verdicts({"amount_ratio": 9, "country": None})
    assert found.reasons(0)[0] == Reason("large", {"amount_ratio": 9})


def test_exempt_transactions_are_approved_and_not_counted():
    row = {"is_cash": 1, "count_1h": 4, "score": 0.9}
    found = verdicts(row, row, exempt=[True, False])
    assert found.outcome.tolist() == [Outcome.approve, Outcome.hold]
    assert found.alerted.tolist() == [1]
    assert found.rule_hits == {"cash": 1}
    assert found.reasons(0) == []
    assert verdicts(row, exempt=[False]).outcome.tolist() == [Outcome.hold]


def test_figures_are_rounded_for_people():
    assert [figure(value) for value in (1234.56, 12.345, 0.12345, 3.0, NAN, np.inf, None, "CN")] == [
        1235, 12.35, 0.123, 3, None, None, None, "CN",
    ]  # fmt: skip


some_actions = st.builds(
    Actions,
    st.sampled_from(TRANSACTION),
    st.sampled_from(CARD),
    st.sampled_from(CONTACT),
    st.sampled_from(QUEUE),
    st.sampled_from(["all", "online", "cash", "abroad"]),
)


@given(some_actions, some_actions, some_actions)
def test_merging_is_in_any_order_and_never_lighter(one, two, three):
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, one) == one
    assert summarise(merge(one, two)) == max(summarise(one), summarise(two))


def choices(name):
    return {
        "score": [0.01, 0.1, 0.3, 0.7, NAN], "amount": [0.0, 50.0, 200.0], "amount_ratio": [1.0, 3.0, 6.0, NAN],
        "count_1h": [1.0, 3.5], "is_cash": [0.0, 1.0], "country": ["CN", "XX", None], "recurring": [0.0, 1.0, NAN],
    }[name]  # fmt: skip


rows = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(choices(name)) for name in SCHEMA}), min_size=1, max_size=40
)


@settings(deadline=None)
@given(rows)
def test_a_decision_depends_on_its_own_row_only(given_rows):
    def told(found, index):
        return found.outcome[index], found.actions(index), found.reasons(index)

    together = verdicts(*given_rows)
    hits = 0
    for index, row in enumerate(given_rows):
        alone = verdicts(row)
        assert told(together, index) == told(alone, 0)
        hits += sum(alone.rule_hits.values())
    assert sum(together.rule_hits.values()) == hits
    assert set(QUIET) == set(SCHEMA)
