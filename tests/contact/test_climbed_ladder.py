"""A conversation's own order on the plan's ladder, and what is left of it when the ladder changes."""

from pipeline.core.plan import Plan, Rung

WAYS = ("sms", "push", "voice", "email")


def plan(rungs: int = 4) -> Plan:
    ladder = tuple(Rung(channel=way, wait_s=1) for way in WAYS[:rungs])  # type: ignore[arg-type] # they are channels
    return Plan(
        ring_s=1, answer_grace_s=1, ladder=ladder, retry_s=1, attempts=3, later_s=1, lease_s=1, asks=1, ask_again_s=1,
        hand_over_s=1, patience_s=1, acknowledge_s=0, exempt_s=1, keep_s=1,
    )  # fmt: skip


def ways(order: tuple[int, ...], rungs: int = 4) -> list[str]:
    return [rung.way for rung in plan(rungs).climbed(order)]


def test_an_order_is_climbed_and_no_order_is_the_plans() -> None:
    assert ways(()) == list(WAYS)
    assert ways((2, 0, 1, 3)) == ["voice", "sms", "push", "email"]
    assert [plan().rung(place, (2, 0, 1, 3)).way for place in (0, 1, 3, 7)] == ["voice", "sms", "email", "email"]


def test_of_an_order_for_another_ladder_what_is_gone_is_left_out_and_what_is_new_comes_last() -> None:
    assert ways((2, 0, 3, 1), rungs=2) == ["sms", "push"]
    assert plan(2).rung(3, (2, 0, 3, 1)).way == "push", "it stands on the last"
    assert ways((1, 0)) == ["push", "sms", "voice", "email"]
