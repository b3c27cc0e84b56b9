"""In which order a ladder is climbed: the bank's marks first, then the customer's choice, what reached them last, what
reaches others like them. And what is counted of it."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from gate_world import HOME, MOBILE, customer_of

from pipeline.core.contact_history import NOTHING, Entry, History
from pipeline.core.contact_hours import Place
from pipeline.core.contact_order import Climb, Person, marked, placed, reached_last
from pipeline.core.conversation import (
    Absent,
    Answered,
    Attempt,
    Conversation,
    Delivered,
    Ended,
    Event,
    Refused,
    Silent,
    State,
)
from pipeline.core.plan import Rung
from pipeline.core.reach import (
    PERIOD_MS,
    POOL_WORTH,
    Tally,
    block_of,
    cohort_of,
    faded,
    outcome,
    period_of,
    pools_of,
    with_pools,
)

SHANGHAI = Place((ZoneInfo("Asia/Shanghai"),), (), lambda calendar, day: None)
AMERICA = Place((ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")), (), lambda calendar, day: None)
NOON_MS = 1_767_240_000_000
"""12:00 in Shanghai, 2026-01-01; in America it is the evening before, 23:00 and 20:00."""


def ladder(*ways: str) -> tuple[Rung, ...]:
    """``voice:home``; marked with ``!`` where it may change places."""
    rungs = []
    for way in ways:
        channel, _, number = way.rstrip("!").partition(":")
        rungs.append(Rung(channel=channel, number=number, learn=way.endswith("!")))  # type: ignore[arg-type]
    return tuple(rungs)


ALL = ladder("push!", "sms!", "voice:mobile!", "voice:home!")


def effective(channel: str, minute: int = 0) -> Entry:
    return Entry(minute * 60_000, "fraud", channel, "ct_1", "effective")


def person(history: Sequence[Entry] = (), numbers: dict[str, Sequence[Entry]] | None = None, **more: Any) -> Person:
    of_numbers = {number: History(tuple(entries)) for number, entries in (numbers or {}).items()}
    return Person(customer_of("CN", **more), SHANGHAI, History(tuple(history)) if history else NOTHING, of_numbers)


def climbed(rungs: Sequence[Rung], who: Person, *ranking: str) -> list[str]:
    """``way: why`` of each place; ``ranking``: ways as the bandit ranks them."""
    ranks = {way: rank for rank, way in enumerate(ranking)}
    return [f"{each.way}: {each.why}" for each in placed(rungs, who, reached_last(rungs, who), ranks, {})]


def test_without_marks_nothing_moves_whatever_is_wished_or_known() -> None:
    rungs = ladder("sms", "push", "voice")
    who = person([effective("push")], preferred_channel="voice")
    assert climbed(rungs, who, "push", "voice", "sms") == ["sms: plan", "push: plan", "voice: plan"]
    assert Climb(placed(rungs, who, reached_last(rungs, who), {}, {})).order == ()


def test_only_marked_rungs_change_places_and_only_among_themselves() -> None:
    rungs = ladder("sms", "push!", "voice:mobile", "email!")
    told = climbed(rungs, person(preferred_channel="email"), "push", "email")
    assert told == ["sms: plan", "email: preferred", "voice:mobile: plan", "push: learned"]
    assert Climb(placed(rungs, person(preferred_channel="email"), None, {}, {})).order == (0, 3, 2, 1)
    assert marked(ladder("sms", "push!")) == (), "one alone has nobody to change with"


BY_SMS = {MOBILE: [effective("sms")]}


def test_the_customers_choice_comes_first_then_what_reached_them_last_then_the_plan() -> None:
    who = person([effective("sms")], BY_SMS, preferred_channel="voice")
    told = ["voice:mobile: preferred", "voice:home: preferred", "sms: reached_last", "push: plan"]
    assert climbed(ALL, who) == told


def test_where_something_is_known_the_ranking_of_those_whom_the_same_way_reached_last_decides() -> None:
    who = person([effective("sms")], BY_SMS)
    told = climbed(ALL, who, "sms", "voice:home", "push", "voice:mobile")
    assert told == ["sms: reached_last", "voice:home: learned", "push: learned", "voice:mobile: learned"]
    assert climbed(ALL, who, "push", "sms", "voice:home", "voice:mobile")[:2] == ["push: learned", "sms: learned"]
    wished = person([effective("sms")], BY_SMS, preferred_channel="voice")
    told = climbed(ALL, wished, "voice:home", "push", "sms", "voice:mobile")
    assert told == ["voice:home: preferred", "voice:mobile: preferred", "push: learned", "sms: learned"]


def test_where_nothing_is_known_the_plans_order_stays() -> None:
    assert climbed(ALL, person()) == ["push: plan", "sms: plan", "voice:mobile: plan", "voice:home: plan"]
    assert climbed(ALL, person(preferred_channel="pigeon")) == climbed(ALL, person())


def test_records_may_call_a_push_the_app() -> None:
    assert climbed(ladder("sms!", "push!"), person(preferred_channel="app"))[0] == "push: preferred"


def test_what_reached_a_customer_last_is_a_number_not_just_a_channel() -> None:
    at_home = effective("voice", 5)
    who = person([effective("sms", 1), at_home], {MOBILE: [effective("sms", 1)], HOME: [at_home]})
    assert climbed(ALL, who)[0] == "voice:home: reached_last"
    elsewhere = person([at_home], {MOBILE: [], HOME: []})
    assert climbed(ALL, elsewhere) == climbed(ALL, person()), "a number that is no longer theirs"


def test_what_did_not_reach_them_and_ways_that_are_not_marked_do_not_count() -> None:
    missed = Entry(9, "fraud", "voice", "ct_1", "missed")
    asked = Entry(9, "fraud", "push", "ct_1", "message")
    assert climbed(ALL, person([asked, missed], {MOBILE: [missed]})) == climbed(ALL, person())
    later = person([effective("push", 1), effective("email", 2)])
    assert climbed(ALL, later)[0] == "push: reached_last", "the last of those that may move"
    assert climbed(ALL, person([effective("push")], app_id=None)) == climbed(ALL, person())


def test_customers_alike_share_class_country_language_and_part_of_the_day() -> None:
    chinese = customer_of("CN", language="zh-CN")
    assert cohort_of("reminder", chinese, SHANGHAI, NOON_MS) == "reminder/CN/zh/2/"
    assert cohort_of("reminder", chinese, SHANGHAI, NOON_MS - 1, "sms") == "reminder/CN/zh/1/sms"
    assert cohort_of("fraud", customer_of("China", language="klingonese"), SHANGHAI, NOON_MS) == "fraud///2/"
    assert cohort_of("fraud", customer_of(None, language="EN"), AMERICA, NOON_MS) == "fraud//en/3/"
    assert block_of(AMERICA, NOON_MS + 2 * 3_600_000) is None, "01:00 in New York, 22:00 in Los Angeles"
    assert cohort_of("fraud", chinese, AMERICA, NOON_MS + 2 * 3_600_000) == "fraud/CN/zh//"
    assert pools_of("reminder/CN/zh/1/voice:home") == ("reminder/CN/zh/1/*", "reminder/*/voice:home")


def test_what_is_known_of_many_helps_where_little_is_known_and_weighs_little_where_much_is() -> None:
    own, many = Tally(1, 2), Tally(300, 1000)
    helped = with_pools(own, [many, Tally(), Tally(1, 5)])
    assert helped.tried == 2 + POOL_WORTH + 5
    assert helped.reached == pytest.approx(1 + POOL_WORTH * 0.3 + 1)


def open_one(state: State = "ringing", attempts: int = 1, cohort: str = "fraud/CN/zh/2/") -> Conversation:
    made = tuple(Attempt(covers=("tx1",)) for _ in range(attempts))
    return Conversation(id="ct_1", card="tok", state=state, attempts=made, cohort=cohort)


@pytest.mark.parametrize(
    ("event", "reached"),
    [
        (Answered("yes", "sms", "sms", 1), True),
        (Answered("stop", "sms", "sms", 1), True),
        (Answered("yes", "app", "app"), None),
        (Answered("yes", "sms", "sms", 2), None),
        (Ended(1, "hung_up"), True),
        (Ended(1, "wrong_key"), True),
        (Ended(1, "voicemail"), False),
        (Ended(1, "no_answer"), False),
        (Ended(1, "undelivered"), False),
        (Silent(1), False),
        (Refused(1, permanent=False, reason="refused"), None),
        (Delivered(1, "m1"), None),
        (Absent(1), None),
    ],
)
def test_what_says_that_somebody_was_reached(event: Event, reached: bool | None) -> None:
    assert outcome(open_one(), event) is reached


def test_an_attempt_counts_once_in_its_time_and_only_under_a_cohort() -> None:
    answer = Answered("yes", "sms", "sms", 1)
    assert outcome(open_one("unknown"), answer) is True
    for over in ("planned", "escalated", "released", "expired"):
        assert outcome(open_one(over), answer) is None  # type: ignore[arg-type]
    assert outcome(open_one(attempts=2), answer) is None
    assert outcome(open_one(cohort=""), answer) is None


def test_what_was_counted_fades_by_half_with_each_period() -> None:
    assert faded([Tally(1, 2), Tally(4, 8), Tally(4, 4)]) == Tally(1 + 2 + 1, 2 + 4 + 1)
    assert period_of(PERIOD_MS - 1) == 0
    assert period_of(PERIOD_MS) == 1
