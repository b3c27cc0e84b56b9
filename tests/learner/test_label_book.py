"""Who is believed: sources in order, channels in order, corrections, withdrawals, repeats, and forgetting."""

import itertools

import pytest
from labelled_world import label

from pipeline.core.entities import digest_of
from pipeline.core.label_book import LabelBook
from pipeline.core.records import Label

KEY = digest_of("t0-3")


def said(*labels: Label) -> bool | None:
    book = LabelBook()
    for offset, one in enumerate(labels):
        assert book.take(one, 0, offset) == KEY
    holds = book.verdict(KEY)
    return None if holds is None else holds.fraud


ORDER = (("cardholder",), ("analyst", "import"), ("chargeback", "network"))


@pytest.mark.parametrize(
    ("lower", "higher"),
    [(a, b) for low, high in itertools.combinations(ORDER, 2) for a in low for b in high],
)
def test_of_two_sources_the_higher_is_believed_whichever_came_last(lower: str, higher: str) -> None:
    yes, no = label(3, fraud=False, source=lower), label(3, source=higher)
    assert said(yes, no) is True
    assert said(no, yes) is True


def test_of_two_words_of_one_rank_the_later_is_believed() -> None:
    assert said(label(3, source="network"), label(3, fraud=False, source="chargeback")) is False
    assert said(label(3), label(3, fraud=False)) is False


def test_of_a_cardholders_words_the_one_from_the_surer_channel_is_believed() -> None:
    app, sms = label(3, fraud=False, confidence=0.95), label(3, confidence=0.8)
    assert said(app, sms) is False
    assert said(sms, app) is False
    assert said(sms, label(3, fraud=False, source="analyst", confidence=0.1)) is False, "an analyst need not be surer"


def test_a_label_stands_for_the_one_it_supersedes() -> None:
    first = label(3, id="a", source="chargeback")
    assert said(first, label(3, fraud=False, id="b", supersedes="a")) is False
    assert said(first, label(3, fraud=None, id="b", supersedes="a")) is None
    assert said(first, label(3, fraud=None, id="b", supersedes="another")) is True


def test_a_source_can_take_back_what_it_said_and_no_more() -> None:
    analyst, cardholder = label(3, source="analyst"), label(3, fraud=False)
    assert said(cardholder, analyst, label(3, fraud=None, source="analyst")) is False
    assert said(analyst, cardholder, label(3, fraud=None)) is True


def test_a_repeat_changes_nothing_even_after_what_came_between() -> None:
    yes, no = label(3, fraud=False, id="a"), label(3, id="b")
    assert said(yes, no, yes) is True
    unnamed = label(3, fraud=False, time="2026-01-01T00:00:00Z")
    assert said(unnamed, label(3, time="2026-01-02T00:00:00Z"), unnamed) is True


def test_what_is_old_is_forgotten_and_where_to_read_again_is_known() -> None:
    book = LabelBook()
    times = ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-05T00:00:00Z")
    for offset, time in enumerate(times):
        book.take(label(offset, time=time), 2, offset)
    book.take(label(0, time=times[2], source="analyst"), 2, 3)
    assert book.places() == {2: 0}
    book.forget(1_767_398_400.0)  # 2026-01-03T00:00:00Z
    assert (len(book), book.places()) == (3, {2: 1})
    assert book.verdict(digest_of("t0-0")) is not None, "the analyst's word is newer"
    assert book.verdict(digest_of("t0-1")) is not None
    book.forget(2e9)
    assert (len(book), book.places(), book.verdicts()) == (0, {}, [])
