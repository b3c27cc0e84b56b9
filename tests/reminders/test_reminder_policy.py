"""The file of the reminders' plan: what stands in it is what is done, and each mistake is refused where it stands."""

from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_world import ALMANAC, DELIVERED, FILE, plan

from pipeline.adapters.almanac import world_almanac
from pipeline.core.contact_policy import CHANNELS
from pipeline.core.reminder_policy import ReminderError, read_reminders
from pipeline.core.texts_rules import RULES
from pipeline.roles.contact.profile import read_profile

LINES = DELIVERED.split("\n")
STAGE = '[[stage]]\nname = "extra"\nday = 5\nuntil_day = 6\nclass = "collection"\ntemplate = "overdue"\n'


def line_of(text: str, part: str) -> int:
    (found,) = [number for number, line in enumerate(text.split("\n"), 1) if line.startswith(part)]
    return found


def test_the_delivered_plan_keeps_to_the_convention() -> None:
    policy = plan()
    for product in ("card", "loan"):
        assert policy.terms(product).grace_days >= 3
        assert policy.terms(product).tolerance <= 1000
        assert policy.terms(product).zone == policy.zone == "Asia/Shanghai"
    days = {stage.name: (stage.day, stage.class_) for stage in policy.stages}
    assert [day for day, _ in days.values()] == [-7, -3, -1, 0, 1, 4, 15, 31, 61, 91]
    assert {class_ for day, class_ in days.values() if day <= 3} == {"reminder"}
    assert {class_ for day, class_ in days.values() if day > 3} == {"collection"}


def test_between_two_stages_of_the_delivered_plan_there_is_no_gap_once_it_is_due() -> None:
    stages = [stage for stage in plan().of_product("card") if stage.day >= 0]
    assert all(one.until_day + 1 == following.day for one, following in pairwise(stages))


@pytest.mark.parametrize("name", ["cn", "uk", "eu", "us", "in", "demo"])
def test_every_stage_is_carried_by_the_ladders_of_the_delivered_profiles(name: str) -> None:
    assert plan().uncarried(read_profile(FILE.parents[1], name, world_almanac()).plans) == []


def test_a_stage_on_channels_that_no_ladder_has_is_named() -> None:
    policy = plan(DELIVERED + STAGE + 'channels = ["wechat"]\n')
    (said,) = policy.uncarried(read_profile(FILE.parents[1], "cn", world_almanac()).plans)
    assert said == "stage extra: the contact profile's ladder of class collection has none of wechat"


def test_the_version_is_the_name_and_the_beginning_of_the_digest() -> None:
    assert plan().version == f"reminders@{sha256(DELIVERED.encode()).hexdigest()[:12]}"
    assert plan(DELIVERED + "\n").version != plan().version


def test_what_stands_in_a_stage_is_what_it_is() -> None:
    stage = '[[stage]]\nname = "extra"\nday = -2\nuntil_day = -1\nclass = "reminder"\ntemplate = "due_soon"\n'
    text = DELIVERED + stage + 'products = ["loan"]\nat = "18:30"\nchannels = ["sms"]\non_holiday = "before"\n'
    policy = plan(text + "when = \"has_tag('vip') and owed > 5000\"\n")
    (found,) = [each for each in policy.stages if each.name == "extra"]
    assert found[1:9] == (("loan",), -2, -1, 18 * 60 + 30, "reminder", "due_soon", ("sms",), "before")
    assert found.when is not None
    columns = {"has_tag('vip')": np.array([1.0, 1.0, 0.0]), "owed": np.array([6000.0, 5000.0, 6000.0])}
    assert found.when.hits(columns, 3).tolist() == [True, False, False]
    assert policy.tags == {"vip"}
    assert "extra" not in [each.name for each in policy.of_product("card")]


def test_a_table_that_is_left_out_has_its_defaults() -> None:
    text = DELIVERED.split("# --- after a payment")[0]
    policy = plan(text)
    assert policy.thanks.send
    assert policy.thanks.channels == ()
    assert (policy.promises.days, policy.promises.max_days, policy.promises.remind) == (3, 14, True)
    assert (policy.spread.start, policy.spread.end, dict(policy.spread.per_hour)) == (540, 1200, {})
    assert dict(plan().spread.per_hour) == {"voice": 6000, "sms": 360000}


CHANGED: list[tuple[str, str, str, str]] = [
    # what stands there → what is written instead, the line it is told at begins so, what is said
    ('zone = "Asia/Shanghai"', 'zone = "Asia/Peking"', "zone", "there is no time zone 'Asia/Peking'"),
    ('calendar = "CN"', 'calendar = "XX"', "calendar", "there is no holiday calendar 'XX'"),
    ('calendar = "CN"', "# none", "on_holiday", "on_holiday needs the plan's calendar"),
    ('name = "reminders"', "# none", "#", 'the plan has no name: write name = "…"'),
    ('name = "reminders"', 'name = "My plan"', "name", "is no name"),
    ('name = "loan"', 'name = "mortgage"', "name", "[[product]]"),
    ('name = "loan"', 'name = "card"', "name", "a second product named card"),
    ("tolerance = 1000", "tolerance = -1", "tolerance", "tolerance = -1: a whole number from 0"),
    ("grace_days = 3", "grace_days = 61", "grace_days", "grace_days = 61: a whole number from 0 to 60"),
    ("posting_grace_days = 1", "posting_grace_days = 99", "posting", "a whole number from 0 to 60"),
    ("posting_grace_days = 1", "pending_days = 99", "[[product]]", "posting_grace_days"),
    ("tolerance = 1000", 'tolerance = "10 yuan"', "tolerance", "Expected int"),
    ('name = "m2"', 'name = "M2!"', "name", "is no name of a stage"),
    (
        'name = "m2"',
        'name = "broken_heart"',
        "name",
        "what begins with heard, broken, returned, thanks is not for stages",
    ),
    ('name = "m2"', 'name = "m1"', "name", "a second stage named m1"),
    ("day = -7", "day = -401", "day", "day = -401: a whole number from -400 to 400"),
    ("until_day = -4", "until_day = -8", "until_day", "until_day = -8: a whole number from -7 to 400"),
    ('class = "reminder"', 'class = "fraud"', "class", "class"),
    ('class = "reminder"', 'class = "collection"', "template", "class collection has no template 'due_soon'"),
    ('template = "due_soon"', 'template = "thanks"', "template", "class reminder has no template 'thanks'"),
    ("day = 4\n", "day = -1\n", "class", "nothing is collected before it is past due"),
    ('on_holiday = "before"', 'at = "25:00"', "at", "at = '25:00': a time of day"),
    ('on_holiday = "before"', 'at = "21:00"', "at", "outside the hours of [spread]"),
    ('on_holiday = "before"', 'on_holiday = "never"', "on_holiday", "[[stage]]"),
    ('on_holiday = "before"', "products = []", "products", "there is no [[product]]"),
    ('on_holiday = "before"', "tone = 3", "tone", "[[stage]]: Object contains unknown field tone"),
    ('on_holiday = "before"', 'when = "owed >"', "when", "when: not a condition SQL can read"),
    ('on_holiday = "before"', 'when = "amount > 5"', "when", "when: unknown column"),
    ('on_holiday = "before"', "when = \"in_list(card, 'hot')\"", "when", "asks about a transaction"),
    ('on_holiday = "before"', 'when = "has_tag(vip)"', "when", "when: unknown column, at 'vip'"),
    ('on_holiday = "before"', 'when = "has_tag(5)"', "when", "when: HAS_TAG takes a tag's name in single quotes"),
    ('reason = "autopay"', 'reason = "because it is so"', "reason", "is no reason"),
    ('stages = ["due_in_7"', 'stages = ["due_in_8"', "stages", "there is no [[stage]] named 'due_in_8'"),
    ("max_days = 14", "max_days = 61", "max_days", "a whole number from 1 to 60"),
    ("days = 3\nmax", "days = 15\nmax", "days", "days = 15: a whole number from 1 to 14"),
    ('end = "20:00"', 'end = "08:00"', "end", "the day ends after it starts"),
    ("voice = 6000", "fax = 6000", "fax", "per_hour: there is no channel 'fax'"),
    ("voice = 6000", "voice = 0", "voice", "voice = 0: a whole number from 1"),
    ("[promise]", "[promises]", "[promises]", "unknown entry 'promises'"),
    ("[thanks]", "[[thanks]]", "[[thanks]]", "thanks is one table"),
    ("[[skip]]", "[skip]", "[skip]", "skip is a list of tables"),
    ("send = true", "send = 1", "send", "[thanks]: Expected bool, got int (send)"),
    ("[thanks]", "[thanks", "[thanks", "not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), CHANGED, ids=[f"{new[:30]}" for _, new, _, _ in CHANGED])
def test_a_mistake_is_refused_where_it_stands(old: str, new: str, line: str, said: str) -> None:
    assert old in DELIVERED
    text = DELIVERED.replace(old, new, 1)
    with pytest.raises(ReminderError) as refused:
        plan(text)
    told = str(refused.value)
    place, number, words = told.split(":", 2)
    assert place == "reminders.toml"
    assert said in words
    assert text.split("\n")[int(number) - 1].startswith(line), told


def test_a_channel_without_such_a_text_is_refused() -> None:
    channels = ", ".join(f'"{each}"' for each in CHANNELS)
    text = DELIVERED.replace(
        'channels = ["sms", "push", "wechat", "email", "webhook"]\non_holiday = "before"', f"channels = [{channels}]"
    )
    assert plan(text).stages[0].channels == CHANNELS
    assert ("reminder", "voice", "thanks") not in RULES
    text = DELIVERED.replace("send = true\nchannels = [", 'send = true\nchannels = ["voice", ')
    with pytest.raises(ReminderError, match="channels: voice has no text thanks"):
        plan(text)


def test_a_tag_that_nobody_gives_is_refused() -> None:
    text = DELIVERED + STAGE + "when = \"has_tag('vipp')\"\n"
    with pytest.raises(ReminderError, match=r"there is no tag vipp") as refused:
        read_reminders(text, "reminders.toml", ALMANAC, known_tags=["vip"])
    place = line_of(text, "when = \"has_tag('vipp')")
    assert f"reminders.toml:{place}:" in str(refused.value)
    assert read_reminders(text, "reminders.toml", ALMANAC).tags == {"vipp"}


def test_a_condition_over_several_lines_is_told_at_its_line() -> None:
    text = DELIVERED + STAGE + "when = '''\nhas_tag('vip')\nand owd > 5'''\n"
    with pytest.raises(ReminderError, match="did you mean owed") as refused:
        plan(text)
    assert f"reminders.toml:{line_of(text, 'and owd')}:" in str(refused.value)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_the_guide_shows_can_be_read(language: str) -> None:
    guide = (FILE.parents[2] / "docs" / language / "reminders.md").read_text(encoding="utf-8")
    policy = plan(guide.split("```toml\n")[1].split("```")[0])
    assert [each.name for each in policy.stages] == ["due_in_3"]
    assert policy.tags == {"vip"}


def test_there_is_a_limit_to_everything() -> None:
    with pytest.raises(ReminderError, match="at most 200000"):
        plan("#" * 200_001)
    many = "".join(STAGE.replace("extra", f"extra{number}") for number in range(41))
    with pytest.raises(ReminderError, match=r"51 \[\[stage\]\] tables; a plan has at most 50"):
        plan(DELIVERED + many)


def test_without_a_product_there_are_no_terms() -> None:
    with pytest.raises(ReminderError, match=r"the plan has no \[\[product\]\]"):
        plan('name = "a"\nzone = "Asia/Shanghai"\n')


@given(st.text(max_size=60), st.integers(0, len(LINES)), st.booleans())
def test_whatever_is_written_nothing_but_a_refusal_comes_of_it(junk: str, at: int, instead: bool) -> None:
    lines = [*LINES]
    lines[at : at + instead] = [junk]
    try:
        policy = plan("\n".join(lines))
    except ReminderError as error:
        said, stages = str(error), ()
    else:
        said, stages = "reminders.toml:", policy.stages
    assert said.startswith("reminders.toml:")
    assert {stage.class_ for stage in stages} <= {"reminder", "collection"}
