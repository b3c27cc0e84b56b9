"""After a YES the customer is told to try again when the switch has released the card, not before."""

import asyncio
from pathlib import Path

import pytest
from cascade_world import Cascade, cascade_config
from contact_world import Read

from pipeline.ports_channels import CallOrder

PLACES = ["hold", "release"]


def played(path: Path, script: str) -> Cascade:
    cascade = Cascade(cascade_config(path / "config", acknowledge_s=10.0))
    asyncio.run(cascade.play(script))
    return cascade


def thanks(cascade: Cascade) -> list[str]:
    return [order.text for order in cascade.made if not isinstance(order, CallOrder) and ":2:" in order.key]


@pytest.mark.parametrize(
    ("script", "state", "last", "reason", "thanked"),
    [
        ("alert, reply yes", "releasing", "answered", None, 0),
        ("alert, reply yes, switch done", "released", "completed", "released", 1),
        ("alert, reply yes, switch done, switch done", "released", "completed", "released", 1),
        ("alert, reply yes, switch late", "released", "completed", "superseded", 0),
        ("alert, reply yes, wait 11", "escalated", "escalated", "switch_silent", 0),
        ("alert, reply yes, wait 11, switch done", "escalated", "escalated", "switch_silent", 0),
        ("alert, app yes, switch done", "released", "completed", "released", 0),
        ("alert, reply yes, reply yes", "releasing", "answered", None, 0),
    ],
)
def test_thanks_wait_for_the_switch(
    tmp_path: Path, script: str, state: str, last: str, reason: str | None, thanked: int
) -> None:
    cascade = played(tmp_path, script)
    step = cascade.world.log.values("contacts")[-1]
    assert (cascade.state, step["step"], step.get("reason")) == (state, last, reason)
    assert cascade.world.log.commands() == PLACES
    assert len(thanks(cascade)) == thanked
    assert len(cascade.world.log.values("labels")) == 1, "the answer counts, whatever the switch does"


def test_a_no_while_the_switch_is_at_it_holds_the_card_again(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes, reply no")
    assert cascade.state == "escalated"
    assert cascade.world.log.commands() == [*PLACES, "hold"]


def test_an_alert_while_the_switch_is_at_it_is_asked_about_before_another_release(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes, alert tx2, switch done")
    assert cascade.state == "ringing", "the release of the first question ends nothing now"
    assert cascade.world.log.commands() == [*PLACES, "hold"]
    asyncio.run(_goes_on(cascade))
    releases = [value for value in cascade.world.log.values("card-commands") if value["command"] == "release"]
    assert len({value["id"] for value in releases}) == 2
    assert cascade.state == "released"


async def _goes_on(cascade: Cascade) -> None:
    await cascade.do_reply("yes")
    await cascade.role.work.idle()
    await cascade.do_switch("done")
    await cascade.role.work.idle()


@pytest.mark.parametrize(
    ("then", "state"), [("switch done", "released"), ("wait 11", "escalated"), ("alert tx2", "escalated")]
)
def test_a_complaint_does_not_end_the_wait_for_the_switch(tmp_path: Path, then: str, state: str) -> None:
    cascade = played(tmp_path, f"alert, reply yes, reply complaint, {then}, wait 14400")
    reasons = [step.get("reason") for step in cascade.world.log.values("contacts") if step["step"] == "escalated"]
    assert cascade.state == state
    assert (reasons[0], reasons[-1], reasons.count("call_back_overdue")) == ("answer_complaint", "call_back_overdue", 1)


def test_what_is_no_result_of_ours_is_passed_over_or_put_aside(tmp_path: Path) -> None:
    cascade = played(tmp_path, "alert, reply yes")

    async def told() -> None:
        await cascade.role.results([Read(b'{"id":"hold-7","done":true,"time":"2026-03-02T02:00:00Z"}')])
        await cascade.role.results([Read(b'{"id":1}')])

    asyncio.run(told())
    assert cascade.state == "releasing"
    assert [reason for _, reason in cascade.world.dead] == ["not_a_result"]
