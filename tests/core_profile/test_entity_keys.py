"""Digests of terminals, merchants, cards and customers: the compiled form and the readable one agree."""

import numpy as np
import pytest
from card_events import NOON, purchase
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.memory import StoredRecord
from pipeline.core.entities import COMPILED, digest_of, entity_keys, keys_in_python
from pipeline.core.poll import Row

RECORD = StoredRecord(0, 0, 0, b"", b"")
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=140)


def row(**fields: object) -> Row:
    return Row(RECORD, purchase(NOON, **fields), False)  # type: ignore[arg-type]  # fields of a transaction


@pytest.mark.skipif(not COMPILED, reason="the package was built without a C compiler")
@given(st.lists(st.tuples(texts, texts, texts, texts), max_size=5))
def test_compiled_and_readable_give_the_same(given_texts: list[tuple[str | None, ...]]) -> None:
    names = ("terminal", "merchant", "customer", "account")
    rows = [row(**dict(zip(names, some, strict=True))) for some in given_texts]
    for mine, theirs in zip(entity_keys(rows), keys_in_python(rows), strict=True):
        assert mine.tolist() == theirs.tolist()
        assert mine.dtype == theirs.dtype


def test_a_digest_is_what_others_can_compute_and_no_text_is_none() -> None:
    assert digest_of(None) == 0
    assert digest_of("m1") == int.from_bytes(bytes.fromhex("d11f79d4b490b654"), "little")
    keys = entity_keys(
        [row(terminal=None, merchant="m1", customer=None, account="a1"), row(customer="c1", account="a1")]
    )
    assert keys.terminal.tolist() == [0, 0]
    assert keys.merchant[0] == digest_of("m1")
    assert keys.customer.tolist() == [digest_of("a1"), digest_of("c1")]
    assert keys.times.tolist() == [NOON, NOON]


def test_no_rows_have_no_keys() -> None:
    assert [len(column) for column in entity_keys([])] == [0] * len(entity_keys([]))
    assert np.dtype(np.uint64) == entity_keys([]).card.dtype
