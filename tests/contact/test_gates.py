"""The gates of contact: what each answers, when they open together, and what no sequence of contacts may exceed."""

from typing import Any

import pytest
from gate_world import (
    DAY_MS,
    HOME,
    HOUR_MS,
    MOBILE,
    YEAR_MS,
    customer_of,
    ms,
    policy_of,
)

from pipeline.core.contact_facts import fresh_number
from pipeline.core.contact_history import MAX_ENTRIES, Entry, History, Kind
from pipeline.core.gates import evaluate
from pipeline.core.records import Customer, Phone
from pipeline.core.verdict import Asked, Detail, Go, Never, Said, Verdict, Wait

NOON = ms("2026-01-07T12:00+08:00")  # a Wednesday
NIGHT = ms("2026-01-07T23:00+08:00")
MORNING = ms("2026-01-08T08:00+08:00")


def ask(
    class_: str = "reminder",
    ladder: tuple[str, ...] = ("voice", "sms"),
    now_ms: int = NOON,
    customer: Customer | None = None,
    *,
    entries: tuple[Entry, ...] = (),
    numbers: dict[str, History] | None = None,
    days: float = 3,
    profile: str = "cn",
) -> Verdict:
    asked = Asked(class_, "e", ladder, now_ms + round(days * DAY_MS))
    someone = customer or customer_of()
    return evaluate(policy_of(profile), asked, someone, History(entries), numbers or {}, now_ms)


def entry(time_ms: int, kind: Kind, class_: str = "reminder", event: str = "e", channel: str = "voice") -> Entry:
    return Entry(time_ms, class_, channel, event, kind)


def told(verdict: Verdict, gate: str) -> Said:
    return next(said for said in verdict.said if said.gate == gate)


def test_all_gates_open_and_each_tells_what_it_saw() -> None:
    verdict = ask()
    assert isinstance(verdict, Go)
    assert (verdict.channel, verdict.to, verdict.sender) == ("voice", MOBILE, "")
    assert [said.gate for said in verdict.said] == [
        "class", "protections", "stop", "consent", "window", "preferred_hours", "caps", "cool_down", "channel",
    ]  # fmt: skip
    assert {said.answer for said in verdict.said} == {"ok"}
    assert told(verdict, "window").source == policy_of("cn").classes["reminder"].windows[0].source
    assert all(MOBILE not in str(said) for said in verdict.said)


@pytest.mark.parametrize(
    ("facts", "class_", "ladder", "gate", "reason"),
    [
        ({}, "gossip", ("voice",), "class", "class_not_allowed"),
        ({"protections": ["hardship"]}, "reminder", ("voice",), "protections", "hardship"),
        ({"protections": ["a new one"]}, "collection", ("voice",), "protections", "unknown"),
        ({"protections": [{"breathing_space": {}}]}, "reminder", ("voice",), "protections", "breathing_space"),
        ({"protections": ["deceased"]}, "fraud", ("voice",), "protections", "deceased"),
        ({"stop": ["fraud"]}, "fraud", ("voice",), "stop", "stopped"),
        ({"stop": ["collection"]}, "reminder", ("voice",), "stop", "stopped"),
        ({"consent": {"automated_calls": False}}, "reminder", ("voice",), "consent", "no_consent"),
        ({"consent": {}}, "marketing", ("voice", "sms"), "consent", "no_consent"),
        ({"phones": []}, "fraud", ("voice", "sms"), "channel", "no_address"),
        ({"phones": [Phone(HOME, "home")]}, "fraud", ("sms", "voice:work"), "channel", "no_address"),
        ({}, "fraud", ("pigeon",), "channel", "channel_not_allowed"),
        ({}, "fraud", (), "channel", "no_channel"),
        # The first gate that refuses is the one that is named, whatever the hour.
        ({"stop": ["reminder"], "protections": ["hardship"]}, "reminder", ("voice",), "protections", "hardship"),
    ],
)
@pytest.mark.parametrize("now_ms", [NOON, NIGHT])
def test_a_gate_that_refuses_ends_it(
    facts: dict[str, Any], class_: str, ladder: tuple[str, ...], gate: str, reason: str, now_ms: int
) -> None:
    verdict = ask(class_, ladder, now_ms, customer_of(**facts))
    assert isinstance(verdict, Never)
    assert (verdict.gate, verdict.reason) == (gate, reason)


@pytest.mark.parametrize(
    ("facts", "class_"),
    [
        ({"protections": ["hardship", "a new one"]}, "fraud"),
        ({"stop": ["marketing", "service"]}, "reminder"),
        ({"consent": {}}, "reminder"),  # not refused; the profile asks for no more
        ({"protections": [{"name": "breathing_space", "until": "2026-01-01"}]}, "reminder"),
    ],
)
def test_a_gate_asks_only_about_its_class(facts: dict[str, Any], class_: str) -> None:
    assert isinstance(ask(class_, customer=customer_of(**facts)), Go)


def test_a_channel_without_consent_is_left_out() -> None:
    verdict = ask(customer=customer_of(consent={"automated_calls": False}))
    assert isinstance(verdict, Go)
    assert verdict.channel == "sms"
    assert told(verdict, "consent").details == (Detail("needs", {"channel": "voice", "consent": "automated_calls"}),)


def test_a_breathing_space_ends_when_its_last_day_is_over_everywhere() -> None:
    someone = customer_of("GB", protections=[{"breathing_space": {"until": "2026-01-08"}}])
    verdict = ask(customer=someone, profile="uk", days=30)
    assert isinstance(verdict, Wait)
    assert (verdict.gate, verdict.reason) == ("protections", "breathing_space")
    assert verdict.until_ms == ms("2026-01-09T12:00")
    assert told(verdict, "protections").until_ms == ms("2026-01-09T12:00")
    short = ask(customer=someone, profile="uk", days=1)
    assert isinstance(short, Never)
    assert short.reason == "expired by protections"


def test_at_night_a_reminder_waits_for_the_morning_or_expires() -> None:
    verdict = ask(now_ms=NIGHT)
    assert isinstance(verdict, Wait)
    assert (verdict.until_ms, verdict.gate, verdict.reason) == (MORNING, "window", "outside_hours")
    assert "China Banking Association" in str(verdict.source)
    expired = ask(now_ms=NIGHT, days=9 / 24)  # just as the window opens
    assert isinstance(expired, Never)
    assert (expired.gate, expired.reason) == ("window", "expired by window")
    assert isinstance(ask(now_ms=NIGHT, days=9.01 / 24), Wait)
    past = ask(days=0)
    assert isinstance(past, Never)
    assert (past.gate, past.reason) == ("expiry", "expired")


def test_at_night_fraud_goes_by_the_channel_that_disturbs_least_and_voice_with_consent_only() -> None:
    ladder = ("voice", "sms", "push")
    verdict = ask("fraud", ladder, NIGHT)
    assert isinstance(verdict, Go)
    assert (verdict.channel, told(verdict, "window").reason) == ("push", "quiet")
    by_day = ask("fraud", ladder)
    assert isinstance(by_day, Go)
    assert by_day.channel == "voice"
    assert isinstance(ask("fraud", ("voice",), NIGHT), Wait)
    agreed = customer_of(consent={"night_contact": True})
    assert isinstance(ask("fraud", ("voice",), NIGHT, agreed), Go)
    still = ask("fraud", ladder, NIGHT, agreed)
    assert isinstance(still, Go)
    assert still.channel == "push"


def test_in_the_demo_fraud_goes_at_any_hour() -> None:
    for hour in range(24):
        verdict = ask("fraud", ("voice",), YEAR_MS + hour * HOUR_MS, customer_of(None), profile="demo")
        assert isinstance(verdict, Go)
        assert verdict.channel == "voice"


def test_a_holiday_is_named() -> None:
    verdict = ask(now_ms=ms("2026-12-25T10:00"), customer=customer_of("GB"), profile="uk", days=9)
    assert isinstance(verdict, Wait)
    assert (verdict.reason, verdict.until_ms) == ("holiday", ms("2026-12-29T08:00"))


def test_preferred_hours_hold_reminders_and_not_fraud() -> None:
    evenings = customer_of(preferred_hours="20:00-23:30")
    verdict = ask(customer=evenings)
    assert isinstance(verdict, Wait)
    assert (verdict.gate, verdict.until_ms) == ("preferred_hours", ms("2026-01-07T20:00+08:00"))
    assert isinstance(ask("fraud", customer=evenings), Go)
    late = ask(now_ms=NIGHT, customer=evenings)  # wished for, but not allowed: both open at 20:00 next evening
    assert isinstance(late, Wait)
    assert (late.gate, late.until_ms) == ("window", ms("2026-01-08T20:00+08:00"))
    never = ask(customer=customer_of(preferred_hours="02:00-05:00"))
    assert isinstance(never, Never)
    assert never.reason in ("expired by window", "expired by preferred_hours")
    unreadable = ask(customer=customer_of(preferred_hours="tea time"))
    assert told(unreadable, "preferred_hours").reason == "unreadable"
    assert isinstance(unreadable, Go)


def test_calls_to_a_number_are_counted_whoever_was_called_and_the_next_number_is_tried() -> None:
    six = History(tuple(entry(NOON - minute, "dial", "collection", "other") for minute in range(6, 0, -1)))
    verdict = ask(ladder=("voice",), numbers={MOBILE: six})
    assert isinstance(verdict, Go)
    assert verdict.to == HOME
    both = ask(ladder=("voice",), numbers={MOBILE: six, HOME: six})
    assert isinstance(both, Wait)
    assert (both.gate, both.reason, both.until_ms) == ("caps", "day_cap", MORNING)
    assert told(both, "caps").until_ms == ms("2026-01-08T00:00+08:00")
    message = ask(numbers={MOBILE: six, HOME: six})
    assert isinstance(message, Go)
    assert message.channel == "sms"


def test_reminders_and_collection_are_counted_together_and_fraud_apart() -> None:
    fraud = tuple(entry(NOON - hour * HOUR_MS, "message", "fraud", channel="sms") for hour in (3, 2, 1))
    assert isinstance(ask(ladder=("sms",), entries=fraud), Go)
    both = (
        entry(NOON - 2, "message", "reminder", channel="sms"),
        entry(NOON - 1, "message", "collection", channel="email"),
    )
    verdict = ask(ladder=("sms",), entries=both)
    assert isinstance(verdict, Wait)
    (seen,) = told(verdict, "caps").details
    assert verdict.gate == "caps"
    assert seen == Detail("cap", {"count": 2, "limit": 2, "days": 1, "of": "customer"})


def test_a_cap_opens_when_enough_of_what_it_counts_has_left() -> None:
    noon = NOON + 14 * HOUR_MS  # 13:00 in New York
    dials = tuple(entry(noon - day * DAY_MS, "dial", "collection") for day in (6, 5, 4, 3, 3, 3, 2, 2, 2))
    some = tuple(entry(at.time_ms + n, "dial", "collection") for n, at in enumerate(dials))
    verdict = ask(
        "collection", ("voice",), noon, customer_of("US", "America/New_York"), entries=some, profile="us", days=9
    )
    # Nine of seven: three must leave, the third was made four days ago.
    assert told(verdict, "caps").until_ms == ms("2026-01-10T00:00-05:00")


def test_conversations_are_counted_apart_and_a_call_under_way_may_become_one() -> None:
    long_ago = NOON - 11 * HOUR_MS
    two = (entry(long_ago, "effective"), entry(long_ago + 1, "effective", "collection"))
    only_voice = ("voice:mobile",)
    assert isinstance(ask(ladder=only_voice, entries=two), Go)
    third = ask(ladder=only_voice, entries=(*two, entry(NOON - 5 * HOUR_MS, "effective")))
    assert isinstance(third, Wait)
    assert (third.gate, third.until_ms) == ("caps", MORNING)
    ringing = ask(ladder=only_voice, entries=(*two, entry(NOON - 60_000, "dial", event="other")))
    assert isinstance(ringing, Wait)
    assert (ringing.gate, ringing.until_ms) == ("caps", NOON - 60_000 + HOUR_MS)
    ended = (*two, entry(NOON - 60_000, "dial"), entry(NOON - 1, "missed"))
    assert isinstance(ask(ladder=only_voice, entries=ended), Go)


def test_after_a_conversation_there_is_rest_from_that_class_only() -> None:
    talk = (entry(NOON - HOUR_MS, "effective"),)
    verdict = ask(entries=talk)
    assert isinstance(verdict, Wait)
    assert (verdict.gate, verdict.until_ms) == ("cool_down", NOON + 3 * HOUR_MS)
    assert isinstance(ask("fraud", entries=talk), Go)
    ringing = ask(entries=(entry(NOON - 60_000, "dial", "collection"),))
    assert isinstance(ringing, Wait)
    assert (ringing.gate, ringing.until_ms) == ("cool_down", NOON - 60_000 + HOUR_MS)
    assert isinstance(ask(entries=(entry(NOON - HOUR_MS, "dial", "fraud"),)), Go)


def test_a_question_about_a_payment_that_is_out_goes_before_everything_else() -> None:
    asked = (entry(NOON - 60_000, "dial", "fraud"),)
    for class_ in ("collection", "reminder", "service", "marketing"):
        verdict = ask(class_, entries=asked)
        assert isinstance(verdict, Wait)
        assert (verdict.gate, verdict.reason, verdict.until_ms) == ("cool_down", "fraud_first", NOON + 9 * 60_000)
    assert isinstance(ask("fraud", entries=asked), Go)
    assert isinstance(ask(entries=(*asked, entry(NOON - 1, "effective", "fraud"))), Go)


def test_an_event_has_its_own_cap() -> None:
    three = tuple(entry(NOON - hour * HOUR_MS, "message", "fraud", channel="sms") for hour in (3, 2, 1))
    american = customer_of("US", "America/New_York")
    noon = NOON + 14 * HOUR_MS  # 13:00 in New York
    verdict = ask("fraud", ("sms", "voice"), noon, american, entries=three, profile="us")
    assert isinstance(verdict, Never)
    assert verdict.reason == "expired by caps"
    assert told(verdict, "caps").reason == "event_cap"
    asked = Asked("fraud", "another", ("sms",), noon + DAY_MS)
    assert isinstance(evaluate(policy_of("us"), asked, american, History(three), {}, noon), Go)


def test_a_full_history_stops_contacts_until_there_is_room() -> None:
    full = History(tuple(entry(NOON - MAX_ENTRIES + n, "missed", "service", str(n)) for n in range(MAX_ENTRIES)))
    verdict = ask(entries=full.entries)
    assert isinstance(verdict, Never)
    assert told(verdict, "caps").reason == "history_full"


def test_the_caller_id_is_the_one_of_the_class() -> None:
    indian = customer_of("IN", "Asia/Kolkata")
    senders = {class_: ask(class_, ("voice",), customer=indian, profile="in") for class_ in ("service", "marketing")}
    assert {class_: verdict.sender[:6] for class_, verdict in senders.items() if isinstance(verdict, Go)} == {
        "service": "+91160", "marketing": "+91140",
    }  # fmt: skip


def test_of_unknown_zone_the_whole_country_must_be_awake() -> None:
    morning = ms("2026-01-07T08:30-05:00")
    assert isinstance(ask("service", now_ms=morning, customer=customer_of("US", "America/New_York"), profile="us"), Go)
    verdict = ask("service", now_ms=morning, customer=customer_of("US", "Mars/Olympus"), profile="us")
    assert isinstance(verdict, Wait)
    assert verdict.until_ms == ms("2026-01-07T08:00-10:00")
    nowhere = ask("service", now_ms=morning, customer=customer_of(None), profile="eu")
    assert isinstance(nowhere, Go)


@pytest.mark.parametrize(
    ("since", "fresh"),
    [
        (None, False),
        ("2025-12-09T04:00:00Z", True),
        ("2025-12-08T04:00:00Z", False),
        ("2025-12-01", False),
        ("lately", True),
    ],
)
def test_a_number_is_fresh_for_thirty_days(since: str | None, fresh: bool) -> None:
    assert fresh_number(customer_of(phones=[Phone(MOBILE, since=since)]), MOBILE, NOON) is fresh
    assert fresh_number(customer_of(phones=[]), MOBILE, NOON)
