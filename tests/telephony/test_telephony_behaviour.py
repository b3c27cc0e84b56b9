"""How simulated callees behave: fixed, mixed from a seed, by suffix, by the truth."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline.lab.telephony.behaviour import Callees, Truths, parse_mix


def test_a_mix_is_drawn_by_seed_and_key_and_keeps_its_proportions() -> None:
    mix = parse_mix("yes=60,no=30,busy=10")
    drawn = [Callees(mix, 1).behaviour(f"k{n}", "+1", ()) for n in range(2000)]
    assert drawn == [Callees(mix, 1).behaviour(f"k{n}", "+1", ()) for n in range(2000)]
    assert drawn != [Callees(mix, 2).behaviour(f"k{n}", "+1", ()) for n in range(2000)]
    counts = Counter(drawn)
    assert 1100 < counts["yes"] < 1300
    assert 500 < counts["no"] < 700


def test_a_numbers_last_digits_come_before_the_mix() -> None:
    callees = Callees(parse_mix("yes"), suffixes={"07": "busy"})
    assert callees.behaviour("k", "+8613800000007", ()) == "busy"
    assert callees.behaviour("k", "+8613800000008", ()) == "yes"


def test_the_truth_says_no_to_known_fraud_and_is_followed_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    callees = Callees(parse_mix("truth"), truths=Truths(path))
    assert callees.behaviour("k", "+1", ["a"]) == "yes"
    path.write_text('{"id":"a","fraud":true,"kind":"spree"}\n{"id":"b","fraud":false}\n{"id":"c","fra')
    assert [callees.behaviour("k", "+1", [name]) for name in ("a", "b", "c")] == ["no", "yes", "yes"]
    with path.open("a") as file:
        file.write('ud":true}\n')
    assert callees.behaviour("k", "+1", ["b", "c"]) == "no"


@pytest.mark.parametrize("wrong", ["", "maybe", "yes=-1,no=2", "yes=0", "yes=x"])
def test_a_wrong_mix_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"behaviour|weights|float"):
        parse_mix(wrong)
