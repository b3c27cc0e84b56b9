"""The projection: bounded, first wins, and the same whatever order the topics arrive in."""

from itertools import permutations

import pytest
from desk_story import NOW_MS, Written, command, decision, record, result, step

from pipeline.core.decision import Outcome
from pipeline.core.topics import CONTACTS, DECISIONS
from pipeline.desk import projection as limits
from pipeline.desk.projection import Projection

NOW = NOW_MS / 1000


def ids(projection: Projection, **query: object) -> list[str]:
    return [alert.decision.id for alert in projection.alerts(query.pop("limit", 100), **query)]  # type: ignore[arg-type]


def test_an_approval_is_counted_from_its_headers_and_its_json_never_read() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, "approve")._replace(value=b"not json"))
    assert projection.counting.outcomes(NOW, 60)[Outcome.approve] == 1
    assert projection.unusable[DECISIONS.name] == 0
    assert len(projection) == 0


def test_a_repeat_by_source_offset_counts_once_and_the_first_wins() -> None:
    projection = Projection()
    for offset, merchant in ((0, "a"), (5, "b"), (0, "late"), (5, "late"), (6, "c")):
        projection.apply_decision(decision(offset, merchant_name=merchant))
    projection.apply_decision(decision(0, partition=1, merchant_name="other partition"))
    assert projection.counting.total == 4
    shown = {alert.decision.merchant_name for alert in projection.alerts(10)}
    assert shown == {"a", "b", "c", "other partition"}


def test_a_transaction_id_met_again_under_a_new_offset_is_no_second_alert() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, id="same", merchant_name="first"))
    projection.apply_decision(decision(1, id="same", merchant_name="second"))
    assert [alert.decision.merchant_name for alert in projection.alerts(10)] == ["first"]


def test_alerts_come_newest_first_by_log_time_across_partitions() -> None:
    projection = Projection()
    projection.apply_decision(decision(0, timestamp_ms=NOW_MS + 3))
    projection.apply_decision(decision(1, timestamp_ms=NOW_MS + 9))
    projection.apply_decision(decision(0, timestamp_ms=NOW_MS + 5, partition=1))
    assert ids(projection) == ["t0-1", "t1-0", "t0-0"]


def test_pages_by_cursor_show_every_alert_once_even_while_new_ones_arrive() -> None:
    projection = Projection()
    for offset in range(25):
        projection.apply_decision(decision(offset, timestamp_ms=NOW_MS + offset // 3))
    seen, before = [], None
    while page := projection.alerts(4, before):
        seen += [alert.key[2] for alert in page]
        before = page[-1].key
        projection.apply_decision(decision(100 + len(seen), timestamp_ms=NOW_MS + 1000))
    assert seen == list(range(24, -1, -1))


def test_the_outcome_filter_fills_its_page() -> None:
    projection = Projection()
    for offset in range(30):
        projection.apply_decision(decision(offset, "hold" if offset % 3 else "notify"))
    assert ids(projection, limit=5, outcome=Outcome.notify) == ["t0-27", "t0-24", "t0-21", "t0-18", "t0-15"]


def test_a_story_reads_the_same_in_whatever_order_the_topics_are_read() -> None:
    def tell(projection: Projection) -> tuple:  # type: ignore[type-arg]
        return (
            lambda: projection.apply_decision(decision(0)),
            lambda: projection.apply_contact(step("t0-0", "sending")),
            lambda: projection.apply_command(command("t0-0", "hold", "h1")),
            lambda: projection.apply_command_result(result("h1")),
        )

    for order in permutations(range(4)):
        projection = Projection()
        acts = tell(projection)
        for index in order:
            acts[index]()
        story = projection.story("t0-0")
        assert projection.alert("t0-0") is not None
        assert [told.step.step for told in story.steps] == ["sending"], order
        assert [(told.command.command, told.done) for told in story.commands] == [("hold", True)], order


def test_a_step_or_command_sent_twice_is_told_once() -> None:
    projection = Projection()
    for _ in range(2):
        projection.apply_contact(step("t0-0", "sending", attempt=1))
        projection.apply_command(command("t0-0", "hold", "h1"))
    projection.apply_contact(step("t0-0", "sending", attempt=2))
    story = projection.story("t0-0")
    assert (len(story.steps), len(story.commands)) == (2, 1)


def test_every_change_of_a_story_is_a_new_revision() -> None:
    projection = Projection()
    seen = {projection.story("t0-0").revision}
    for act in (
        lambda: projection.apply_contact(step("t0-0", "sending")),
        lambda: projection.apply_command(command("t0-0", "hold", "h1")),
        lambda: projection.apply_command_result(result("h1", done=False)),
    ):
        act()
        seen.add(projection.story("t0-0").revision)
    assert len(seen) == 4


@pytest.mark.parametrize(
    "broken",
    [
        decision(0)._replace(value=b"\xff\xfe"),
        decision(0)._replace(value=None),
        decision(0)._replace(value=b"[1]"),
        decision(0)._replace(headers=()),
        decision(0)._replace(headers=(("source_offset", b"x"), ("source_timestamp", b"1"), ("outcome", b"hold"))),
        decision(0)._replace(headers=(("source_offset", b"0"), ("source_timestamp", b"1"), ("outcome", b"refuse"))),
        decision(0)._replace(headers=(("source_offset", None), ("source_timestamp", b"1"), ("outcome", b"hold"))),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_decision_is_counted_as_unusable_and_the_next_one_is_taken(broken: Written) -> None:
    projection = Projection()
    projection.apply_decision(broken)
    assert projection.unusable[DECISIONS.name] == 1
    projection.apply_decision(decision(1))
    assert ids(projection) == ["t0-1"]


def test_steps_of_other_subjects_are_not_the_desks() -> None:
    projection = Projection()
    projection.apply_contact(record({"contact": "k", "subject": {"statement": "s1"}, "customer": "c", "class": "reminder", "step": "sending", "time": "t"}))  # fmt: skip
    projection.apply_contact(record({"contact": "risk_1", "subject": {"account": "a1"}, "customer": None, "class": "fraud", "step": "escalated", "time": "t", "why": {"limit_full": {"percent": 98}}}))  # fmt: skip
    assert projection.unusable[CONTACTS.name] == 0
    assert projection.revision == 0


def test_memory_stays_within_the_named_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALERTS_KEPT", "STORIES_KEPT", "STEPS_KEPT", "COMMANDS_KEPT", "RESULTS_KEPT"):
        monkeypatch.setattr(limits, name, 10)
    projection = Projection()
    for number in range(50):
        projection.apply_decision(decision(number, timestamp_ms=NOW_MS + number))
        projection.apply_contact(step(f"t0-{number}", "sending"))
        projection.apply_contact(step("t0-0", "sending", attempt=number))
        projection.apply_command(command("t0-0", "hold", f"h{number}"))
        projection.apply_command_result(result(f"h{number}"))
    assert ids(projection) == [f"t0-{number}" for number in range(49, 39, -1)]
    assert projection.alert("t0-39") is None
    assert [told.step.attempt for told in projection.story("t0-0").steps] == list(range(40, 50))
    assert len(projection.story("t0-0").commands) == 10
    held = (projection._stories, projection._results, projection._commanded, projection._alerts)
    assert [len(kept) for kept in held] == [10, 10, 10, 10]


def test_a_log_that_began_anew_is_believed_from_its_first_record() -> None:
    projection = Projection()
    projection.apply_decision(decision(500))
    projection.log_began_anew(DECISIONS.name)
    projection.apply_decision(decision(0))
    assert ids(projection) == ["t0-0"]
    assert projection.counting.total == 1
