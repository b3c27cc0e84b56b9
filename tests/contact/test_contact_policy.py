"""Contact profiles: those that come with the product, and what is said about a wrong one, with its line."""

import re

import pytest
from gate_world import ALMANAC, CONFIG, PROFILES, policy_of, tables_of

from pipeline.core.contact_policy import CLASSES, ContactPolicy
from pipeline.core.contact_profile import KINDS, ContactPolicyError, parse_contact_policy

SMALL = """attempts = 2
[profile]
name = "small"

[zones]
GB = ["Europe/London"]

[holidays]
GB = "GB"

[fresh_number]
days = 30
source = "own"

[[class]]
classes = ["fraud"]
source = "own"

[[window]]
classes = ["fraud"]
start = "08:00"
end = "21:00"
source = "own"

[[cap]]
classes = ["fraud"]
limit = 3
days = 1
counts = ["dial"]
source = "own"

[[channel]]
classes = ["fraud"]
channels = ["voice", "sms"]
sender = "+441"
begins = "+44"
source = "own"

[[stop]]
classes = ["fraud"]
stops = ["fraud"]
source = "own"

[[silence]]
classes = ["fraud"]
then = "release"
below_score = 0.2
below_amount = 5000
source = "own"

[[silence]]
classes = ["fraud"]
then = "keep"
source = "own"
"""


def read(text: str) -> ContactPolicy:
    return parse_contact_policy(text, "p.toml", ALMANAC)


@pytest.mark.parametrize("name", [*PROFILES, "demo"])
def test_the_profiles_that_come_with_the_product(name: str) -> None:
    policy = policy_of(name)
    assert policy.name == name
    assert re.fullmatch(rf"{name}@[0-9a-f]{{12}}", policy.version)
    assert set(policy.classes) == set(CLASSES)
    assert policy.signed_by == ""  # counsel's to fill in, not ours
    assert policy.fresh_number.days == 30
    assert all(rule["source"] for kind in KINDS for rule in tables_of(name).get(kind, []))


@pytest.mark.parametrize(("name", "end"), [("cn", "22:00"), ("us", "21:00"), ("in", "19:00")])
def test_the_hours_the_law_gives_are_in_the_profiles(name: str, end: str) -> None:
    windows = policy_of(name).classes["collection"].windows_of("voice")
    assert [(rule.start, rule.end) for rule in windows] == [("08:00", end)]


def test_silence_goes_by_score_and_exposure_and_what_is_unknown_is_not_small() -> None:
    policy = read(SMALL)
    assert policy.on_silence("fraud", 0.1, 4999).then == "release"
    assert policy.on_silence("fraud", 0.2, 4999).then == "keep"
    assert policy.on_silence("fraud", 0.1, 5000).then == "keep"
    assert policy.on_silence("fraud", 0.1, None).then == "keep"
    assert policy.on_silence("fraud", None, 1).then == "keep"


def test_tables_of_other_readers_are_passed_over_where_named() -> None:
    more = SMALL + '[[ladder]]\nchannel = "sms"\n'
    assert parse_contact_policy(more, "p.toml", ALMANAC, others=["ladder"]).name == "small"
    with pytest.raises(ContactPolicyError, match=r"p.toml:\d+: unknown table 'ladder'"):
        read(more)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[profile]", "[profile", "2: not valid TOML"),
        ('[profile]\nname = "small"', "", "1: [profile] is missing"),
        ('name = "small"', "name = 5", "3: [profile]: Expected str, got int (name)"),
        ('["Europe/London"]', '["Europe/Londres"]', "6: [zones]: there is no time zone 'Europe/Londres'"),
        ('GB = ["Europe/London"]', "", "5: [zones] is empty"),
        ('GB = ["Europe', 'gb = ["Europe', "6: [zones]: 'gb' must be an ISO 3166 country"),
        ('GB = "GB"', 'GB = "GX"', "9: [holidays]: GB = 'GX': there is no such calendar"),
        ("days = 30", "days = 0", "12: [fresh_number]: Expected int >= 1 (days)"),
        ('[[class]]\nclasses = ["fraud"]', '[[class]]\nclasses = ["frauds"]', "16: [[class]]: Invalid enum value 'frauds'"),
        ('[[class]]\nclasses = ["fraud"]\nsource = "own"', "", "1: no [[class]]"),
        ('[[class]]\nclasses = ["fraud"]\nsource = "own"', '[[class]]\nclasses = ["fraud"]', "15: [[class]]: Object missing required field source"),
        ('start = "08:00"', 'start = "8:00"', "21: [[window]]: Expected str matching regex"),
        ('end = "21:00"', 'end = "24:30"', "22: end = '24:30': a time from 00:00 to 24:00"),
        ('end = "21:00"', 'end = "07:00"', "22: the window ends at 07:00, before it starts"),
        ('end = "21:00"', 'end = "21:00"\nday = "mon"', "23: [[window]]: Object contains unknown field day"),
        ('end = "21:00"', 'end = "21:00"\nchannels = ["sms"]', "15: class fraud has no [[window]] for voice"),
        ("limit = 3", "limit = 0", "27: [[cap]]: Expected int >= 1 (limit)"),
        ('counts = ["dial"]', 'counts = ["dial"]\nchannels = ["sms"]', "29: nothing on these channels is counted"),
        ('sender = "+441"', 'sender = "+431"', "35: sender '+431' does not begin with +44"),
        ('sender = "+441"', "", "32: a sender is needed that begins with +44"),
        ('channels = ["voice", "sms"]', 'channels = ["voice", "voice"]', "32: class fraud needs each of its channels"),
        ('[[stop]]\nclasses = ["fraud"]', '[[stop]]\nclasses = ["service"]', "15: class fraud has no [[stop]]"),
        ('then = "keep"', 'then = "keep"\nbelow_score = 0.5', "51: class fraud needs a last [[silence]] without bounds"),
        ('then = "release"', 'then = "forget"', "46: [[silence]]: Invalid enum value 'forget'"),
        ("[[cap]]", "[cap]", "25: cap is a list of tables"),
        ("[[cap]]", "[[caps]]", "25: unknown table 'caps'"),
        ("attempts = 2", "attempts = 2 #" + "x" * 200_000, "1: 200"),
        ('["Europe/London"]', '["Pacific/Apia", "America/New_York"]\nFR = ["Europe/Paris"]\nJP = ["Asia/Tokyo"]',
         "21: class fraud never opens on sms for a customer in any country"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, complaint: str) -> None:
    assert old in SMALL
    with pytest.raises(ContactPolicyError) as refused:
        read(SMALL.replace(old, new, 1))
    assert str(refused.value).startswith(f"p.toml:{complaint}")


@pytest.mark.parametrize(
    "text", ["", "zones = 5", "class = 3", "[[profile]]\nname = 1", "cap = [1]", "\x00", "[zones]\n5 = 6"]
)
def test_whatever_the_text_the_error_is_one_of_ours(text: str) -> None:
    with pytest.raises(ContactPolicyError, match=r"^p.toml:\d+: "):
        read(text)


def test_the_files_differ_and_so_do_their_versions() -> None:
    texts = {(CONFIG / f"{name}.toml").read_text(encoding="utf-8") for name in PROFILES}
    assert len(texts) == len({policy_of(name).version for name in PROFILES}) == 5
    assert read(SMALL).version != read(SMALL + "\n# changed").version
