"""Whatever is asked in whatever order, on any day of the year, in any zone: contacts stay in their windows and under
their caps, and each wait ends in a contact."""

from gate_world import (
    DAY_MS,
    HOME,
    HOUR_MS,
    MOBILE,
    PROFILES,
    PROOF,
    YEAR_MS,
    ZONES,
    caps_broken,
    clock_changes,
    customer_of,
    in_window,
    ms,
    policy_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.contact_history import NOTHING, Entry, Kind, noted
from pipeline.core.contact_policy import CLASSES
from pipeline.core.gates import evaluate
from pipeline.core.records import Customer
from pipeline.core.verdict import Asked, Go, Wait

LADDERS = st.lists(st.sampled_from(["voice", "sms", "email", "push", "voice:home"]), min_size=1, max_size=3)
WISHES = st.sampled_from([None, None, "18:00-20:00", [{"start": "22:00", "end": "09:00", "days": ["sat", "sun"]}]])


@st.composite
def customers(draw: st.DrawFn, profile: str) -> Customer:
    country = draw(st.sampled_from([PROFILES[profile], PROFILES[profile], None, "BR"]))
    consent = {"automated_calls": True, "marketing": True, "night_contact": draw(st.booleans())}
    zone = draw(st.sampled_from(ZONES))
    return customer_of(country, zone, consent=consent, preferred_hours=draw(WISHES))


@st.composite
def moments(draw: st.DrawFn, zone: str | None) -> int:
    changes = clock_changes(zone) if zone and zone != "Nowhere/Else" else ()
    if changes and draw(st.booleans()):
        return draw(st.sampled_from(changes)) + draw(st.integers(-30 * HOUR_MS, 6 * HOUR_MS))
    return YEAR_MS + draw(st.integers(0, 365 * DAY_MS))


@settings(max_examples=60 * PROOF, deadline=None)
@given(st.sampled_from(sorted(PROFILES)), st.data())
def test_no_sequence_of_contacts_leaves_its_windows_or_exceeds_a_cap(profile: str, data: st.DataObject) -> None:
    policy = policy_of(profile)
    customer = data.draw(customers(profile))
    now_ms = data.draw(moments(customer.time_zone))
    history, numbers = NOTHING, {HOME: NOTHING, MOBILE: NOTHING}
    sent: list[tuple[str, Entry]] = []

    def note(to: str, made: Entry) -> None:
        nonlocal history
        history = noted(history, made)
        if to in numbers:
            numbers[to] = noted(numbers[to], made)
        sent.append((to, made))

    ends: list[tuple[str, Entry]] = []  # of calls that other workers have under way
    for _ in range(data.draw(st.integers(1, 12))):
        for to, made in [end for end in ends if end[1].time_ms <= now_ms]:
            note(to, made)
        ends = [end for end in ends if end[1].time_ms > now_ms]
        class_ = data.draw(st.sampled_from(CLASSES))
        event = data.draw(st.sampled_from("ab"))
        expires_ms = now_ms + data.draw(st.sampled_from([HOUR_MS, DAY_MS, 9 * DAY_MS, 40 * DAY_MS]))
        asked = Asked(class_, event, data.draw(LADDERS), expires_ms)
        verdict = evaluate(policy, asked, customer, history, numbers, now_ms)
        if isinstance(verdict, Wait):
            assert now_ms < verdict.until_ms < expires_ms
            assert verdict.gate in [said.gate for said in verdict.said if said.answer == "until"]
            before = evaluate(policy, asked, customer, history, numbers, verdict.until_ms - 1)
            assert isinstance(before, Wait), "opened before the time that was told"
            assert before.until_ms == verdict.until_ms
            now_ms = verdict.until_ms
            verdict = evaluate(policy, asked, customer, history, numbers, now_ms)
            assert isinstance(verdict, Go), "the moment that was waited for"
        if isinstance(verdict, Go):
            assert in_window(profile, class_, verdict.channel, customer, now_ms)
            voice = verdict.channel == "voice"
            note(verdict.to, Entry(now_ms, class_, verdict.channel, event, "dial" if voice else "message"))
            end = data.draw(st.sampled_from(["effective", "missed", "missed", None])) if voice else None
            if end is not None:
                lasts_ms = data.draw(st.sampled_from([30_000, 90_000, 59 * 60_000]))
                ends.append((verdict.to, Entry(now_ms + lasts_ms, class_, "voice", event, end)))
        now_ms += data.draw(st.sampled_from([60_000, HOUR_MS, HOUR_MS, 20 * HOUR_MS]))
    for to, made in ends:
        note(to, made)
    assert caps_broken(profile, customer, sent) == []


def test_asked_again_and_again_a_caller_runs_into_each_cap_and_over_none() -> None:
    """A collector who never gives up: every half hour, on every channel."""
    for profile, country in PROFILES.items():
        customer = customer_of(country)
        history, numbers = NOTHING, {HOME: NOTHING, MOBILE: NOTHING}
        sent: list[tuple[str, Entry]] = []
        stopped = set()
        for turn in range(6 * 48):
            now_ms = ms("2026-03-25") + turn * HOUR_MS // 2  # the clocks of Europe change on the Sunday in between
            asked = Asked("collection", "e", ("voice", "sms", "email"), now_ms + 40 * DAY_MS)
            verdict = evaluate(policy_of(profile), asked, customer, history, numbers, now_ms)
            if isinstance(verdict, Go):
                kind: Kind = "dial" if verdict.channel == "voice" else "message"
                made = Entry(now_ms, "collection", verdict.channel, "e", kind)
                end = [Entry(now_ms + 1, "collection", "voice", "e", "missed")] if kind == "dial" else []
                for each in [made, *end]:
                    history = noted(history, each)
                    numbers[verdict.to] = noted(numbers.get(verdict.to, NOTHING), each)
                sent.append((verdict.to, made))
            else:
                stopped.add(verdict.gate)
        assert caps_broken(profile, customer, sent) == []
        assert {"window", "caps"} <= stopped
