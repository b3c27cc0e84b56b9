"""What the bank's own people hear at once: of complaints, of what waits for them, never too often, and never who it is."""

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from crm_world import CONTACT, Read, SetClock, run, state, step, told_of

from pipeline.core.conversation import (
    Alert,
    Answered,
    Claimed,
    Placed,
    Raised,
)
from pipeline.core.crm_event import read_step
from pipeline.core.crm_outcome import NOT_TRIED, NOT_WANTED, TAKEN, Told
from pipeline.core.plan import Plan, Rung
from pipeline.core.records import ContactStep
from pipeline.core.staff_alerts import about_many, about_one, kind_of
from pipeline.core.verification import advance, begin
from pipeline.roles.crm.staff import NO_ROOM, StaffAlerts

OVERDUE = frozenset({"call_back_overdue"})


@dataclass
class Telephone:
    """The Notifier port: remembers what it was told."""

    rings: list[tuple[str, str]] = field(default_factory=list)
    dead: bool = False

    async def notify(self, title: str, body: str) -> bool:
        self.rings.append((title, body))
        return not self.dead


def staff(telephone: Telephone, clock: SetClock, per_minute: int = 3) -> StaffAlerts:
    return StaffAlerts(telephone, OVERDUE, "en", per_minute, clock)


def escalations(count: int, first: int = 0) -> list[Any]:
    return told_of(*(step("escalated", contact=f"ct_{number}") for number in range(first, first + count)))


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (step("escalated", reason="no_answer"), "escalated"),
        (step("answered", answer="complaint"), "complaint"),
        (step("escalated", reason="answer_complaint", answer="complaint"), None),
        (step("escalated", reason="answer_agent", answer="agent"), "escalated"),
        (step("escalated", reason="call_back_overdue"), "overdue"),
        (step("deferred", reason="call_back_overdue"), "overdue"),
        (step("answered", answer="no"), None),
        (step("completed"), None),
        (state(), None),
    ],
)
def test_what_is_an_alert_for_staff(record: Any, kind: str | None) -> None:
    assert kind_of(told_of(record)[0], OVERDUE) == kind


def test_an_alert_says_what_and_where_in_both_languages_and_not_who() -> None:
    (event,) = told_of(step("answered", answer="complaint", customer="cust-4711"))
    message = about_one(event, "complaint", "both")
    assert message.title == "A customer complains / 客户投诉"
    english, chinese = message.body.split("\n")
    assert english == f"Contact {CONTACT} by telephone, 2026-11-23 15:40 UTC. Please call back."
    assert chinese == f"联系编号 {CONTACT}，渠道：电话，2026-11-23 15:40 UTC。请专人回电处理。"
    assert "4711" not in message.body
    assert "tx-77" not in message.body


def test_a_complaint_that_ends_a_real_conversation_is_one_alert() -> None:
    plan = Plan(
        ring_s=30, answer_grace_s=5, ladder=(Rung(channel="voice", tries=2),), retry_s=60, attempts=3, later_s=600,
        exempt_s=3600, patience_s=7200, acknowledge_s=0, lease_s=15, asks=3, ask_again_s=2, hand_over_s=100, keep_s=1000,
    )  # fmt: skip
    conversation = begin(CONTACT, "tok_card_0001", "cu1", 0)
    steps = []
    for event in (
        Raised(Alert(id="tx-77")),
        Claimed(),
        Placed(1, "CA1"),
        Answered("complaint", "voice", "voice", 1),
    ):
        made = advance(conversation, event, 1_000, plan)
        conversation = made.conversation
        steps += [effect for effect in made.effects if isinstance(effect, ContactStep)]
    told = [read_step(Read(msgspec.json.encode(one))) for one in steps]
    assert [kind for event in told if (kind := kind_of(event, OVERDUE))] == ["complaint"]
    assert [event.type for event in told].count("contact.complaint") == 1


def test_a_summary_counts_the_most_urgent_first() -> None:
    message = about_many(["escalated", "complaint", "escalated", "overdue"], "both")
    assert message.title == "4 more for people / 另有 4 件待处理"
    assert message.body.split("\n") == [
        "call-backs overdue: 1, complaints: 1, handed to people: 2. They are at the desk.",
        "回电逾期 1 件，投诉 1 件，转人工 2 件。详见风控台。",
    ]


def test_alerts_go_one_by_one_while_there_is_room() -> None:
    telephone = Telephone()
    events = [*escalations(3), *told_of(step("completed"))]
    assert run(staff(telephone, SetClock()).tell(events)) == [TAKEN, TAKEN, TAKEN, NOT_WANTED]
    assert len(telephone.rings) == 3


def test_a_flood_is_summed_up_in_the_minute_s_last_message() -> None:
    telephone = Telephone()
    assert set(run(staff(telephone, SetClock()).tell(escalations(500)))) == {TAKEN}
    assert [title for title, _ in telephone.rings] == ["A contact needs a person"] * 2 + ["498 more for people"]


def test_what_comes_when_the_minute_is_full_waits_for_the_next() -> None:
    telephone, clock = Telephone(), SetClock()
    alerts = staff(telephone, clock)
    run(alerts.tell(escalations(3)))
    clock.at += 59
    assert run(alerts.tell(escalations(5, first=3))) == [NO_ROOM] * 5
    clock.at += 1
    assert run(alerts.tell(escalations(5, first=3))) == [TAKEN] * 5
    assert len(telephone.rings) == 6


def test_no_minute_has_more_messages_than_agreed() -> None:
    telephone, clock = Telephone(), SetClock()
    alerts = staff(telephone, clock, per_minute=2)
    at: list[float] = []
    for second in range(300):
        clock.at += 1
        before = len(telephone.rings)
        run(alerts.tell(escalations(2, first=2 * second)))
        at += [clock.at] * (len(telephone.rings) - before)
    assert max(sum(1 for other in at if 0 <= other - moment < 60) for moment in at) == 2


def test_an_alert_that_could_not_be_sent_comes_again_with_those_behind_it() -> None:
    telephone = Telephone(dead=True)
    clock = SetClock()
    alerts = staff(telephone, clock)
    assert run(alerts.tell(escalations(3))) == [Told("later", "not_sent"), NOT_TRIED, NOT_TRIED]
    telephone.dead = False
    clock.at += 60
    assert run(alerts.tell(escalations(3))) == [TAKEN] * 3


def test_no_alert_holds_a_number_however_the_reason_was_filled() -> None:
    (event,) = told_of(step("escalated", reason="call +86 138 0013 8042 about 4111 1111 1111 1111"))
    body = about_one(event, "escalated", "both").body
    assert not re.search(r"8001|4111", body.replace(" ", ""))


def account_alert() -> Any:
    why = {
        "returned_again": {"count": 2, "days": 60},
        "payment_returned": {"amount": 123_450, "currency": "CNY"},
        "of_a_later_version": {},
        "limit_full": {},
    }
    (event,) = told_of(
        step(
            "escalated", contact="risk_1", subject={"account": "ac1"}, reason="returned_payment", why=why, account="ac1"
        )
    )
    return event


def test_an_account_for_the_risk_team_is_told_with_its_reasons_and_figures() -> None:
    event = account_alert()
    assert kind_of(event, OVERDUE) == "account"
    english, chinese = about_one(event, "account", "en"), about_one(event, "account", "zh")
    assert english.title == "An account for the risk team: A payment came back"
    assert english.body == (
        "Account ac1, 2026-11-23 15:40 UTC. 2 payments came back within 60 days. A payment of 1,234.50 CNY came back."
        " Please look at the account; its customer has not been contacted."
    )
    assert chinese.title == "账户需风控关注：还款被退回"
    assert "一笔 1,234.50 CNY 的还款被退回。" in chinese.body
    assert about_many(["account", "account"], "en").body == "accounts for the risk team: 2. They are at the desk."
    telephone = Telephone()
    assert run(staff(telephone, SetClock()).tell([event])) == [TAKEN]
    assert telephone.rings == [english]


def test_an_account_whose_reasons_nobody_knows_is_told_by_its_kind() -> None:
    (event,) = told_of(step("escalated", contact="risk_1", subject={"account": "ac1"}, reason="bust_out"))
    assert "Reason: It looks like a bust-out." in about_one(event, "account", "en").body
