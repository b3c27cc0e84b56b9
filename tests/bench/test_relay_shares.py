"""The relay of our own transport writes what `scored` records of a poll would take, and no record that is too large."""

from importlib import import_module

import pytest

from pipeline.core.topics import MAX_RECORD_BYTES
from pipeline.ports import MAX_POLL_RECORDS


@pytest.mark.parametrize("rows", [0, 1, 1_000, MAX_POLL_RECORDS])
def test_a_whole_poll_of_one_partition_fits_into_records(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BENCH_SOURCE", "BENCH_TARGET", "BENCH_SCORED"):
        monkeypatch.setenv(name, name.lower())
    relay = import_module("pipeline.lab.bench.references.relay_faust")
    sizes = [len(record.value or b"") for record in relay.shares(rows)]
    assert sum(sizes) == relay.SCORED_BYTES * rows
    assert max(sizes, default=0) < MAX_RECORD_BYTES
