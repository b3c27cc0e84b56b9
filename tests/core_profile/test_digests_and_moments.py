"""What is compiled of a poll's texts and moments is what Python makes of them; moments are written as the calendar has them."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.entities import digest_in_python, digest_of, digests_in_python, digests_of
from pipeline.core.moment import moments, moments_in_python
from pipeline.core.moments import rfc3339
from pipeline.core.poll import Row


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=140).filter(str.isprintable)), max_size=20))
def test_both_forms_of_digests_are_equal(texts: list[str | None]) -> None:
    alone = [digest_in_python(text) for text in texts]
    assert (
        digests_of(texts).tolist() == digests_in_python(texts).tolist() == alone == [digest_of(text) for text in texts]
    )
    assert digests_of([]).dtype == np.uint64


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.floats(-1e9, 1e11), st.integers(0, 2**34).map(lambda n: n / 2), st.integers(0, 10**12).map(lambda n: n / 1e3)
    )
)
def test_a_moment_is_written_as_the_calendar_has_it(moment: float) -> None:
    written = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rfc3339(moment) == written


class Sent(NamedTuple):
    """As much of a transaction as says when and how it was made."""

    mcc: str | None
    entry_mode: str | None


class Event(NamedTuple):
    transaction: Sent


sent = st.builds(Sent, st.one_of(st.none(), st.from_regex(r"[0-9]{4}", fullmatch=True), st.just("٠٠٤٢")), st.sampled_from([None, "chip", "ecommerce", "?"]))  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(sent, st.floats(-1e9, 1e11)), max_size=9))
def test_both_forms_of_a_moments_columns_are_equal(rows: list[tuple[Sent, float]]) -> None:
    made, times = [(None, Event(transaction), False) for transaction, _ in rows], np.array([at for _, at in rows])
    as_rows = [Row(*each) for each in made]  # type: ignore[arg-type]
    assert moments(as_rows, times).tobytes() == moments_in_python(as_rows, times).tobytes()
