"""Digests of many texts are those of each, and moments are written as the calendar has them."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.entities import digest_in_python, digest_of, digests_in_python, digests_of
from pipeline.core.moments import rfc3339


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
