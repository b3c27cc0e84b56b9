"""Customer events beside a stream: seen by the payments that follow them, as a scorer would, however rows are cut."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.core.customer_history import NAMES, event_of
from pipeline.core.customer_table import CustomerLedger, CustomerTable
from pipeline.core.entities import EntityKeys, digest_of, digests_of
from pipeline.core.features import NUMBER_OF
from pipeline.core.poll import Row
from pipeline.core.records import CustomerEvent
from pipeline.core.scored import Scored
from pipeline.core.transaction import Event, Transaction
from pipeline.lab.evaluate.customer_events import CustomerEvents
from pipeline.lab.evaluate.left_out import LeftOut
from pipeline.lab.evaluate.loop import Pace, drive
from pipeline.lab.evaluate.run import new_bank
from pipeline.lab.evaluate.stream import Labelled
from tests.evaluate.evaluate_world import DAY_S, MIDNIGHT, START, chunked, row

KINDS = ("phone_changed", "sim_swapped", "device_added", "login_failed", "pin_changed", "something_else")


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def events(path: Path, seed: int = 2, days: int = 6) -> list[dict[str, str]]:
    draws = np.random.default_rng(seed)
    times = np.sort(draws.random(300)) * days * DAY_S + MIDNIGHT
    made = [{"customer": f"C{draws.integers(8)}", "type": str(draws.choice(KINDS)), "time": moment(at)} for at in times]
    path.write_text("".join(json.dumps(each) + "\n" for each in made))
    return made


def payments(n: int = 400, days: int = 6) -> list[Labelled]:
    draws = np.random.default_rng(3)
    times = np.sort(draws.random(n)) * days * DAY_S + MIDNIGHT
    return [
        row(number, round(float(at), 3), int(draws.integers(8)), False, 1_000, customer=f"C{draws.integers(8)}")
        for number, at in enumerate(times, 1)
    ]


def seen(path: Path, rows: list[Labelled], size: int) -> np.ndarray:
    """The six columns of every payment, as the model saw them."""
    found: list[np.ndarray] = []

    def watch(record: Scored, model: object) -> None:
        found.append(record.matrix()[:, [NUMBER_OF[name] for name in NAMES]])

    bank = new_bank(START, watch, CustomerEvents(path, LeftOut()))
    drive(chunked(rows, size), bank, Pace(DAY_S, 900.0), lambda _: MIDNIGHT, lambda piece, judged: None, LeftOut())
    return np.concatenate(found)


def test_a_payment_sees_what_a_scorer_told_by_the_learner_sees(tmp_path: Path) -> None:
    path, rows = tmp_path / "events.jsonl", payments()
    told = [(said, datetime.fromisoformat(said["time"]).timestamp()) for said in events(path)]
    ledger, table, expected = CustomerLedger(), CustomerTable(), []
    for each in rows:
        while told and told[0][1] <= each.at:
            said, at = told.pop(0)
            if (event := event_of(msgspec.convert(said, CustomerEvent), at)) is not None:
                ledger.observe(digest_of(said["customer"]), event)
        for one in ledger.tellings(1, {}):
            table.take(one)
        transaction = msgspec.json.decode(each.value, type=Transaction)
        nobody = np.zeros(1, dtype=np.uint64)
        keys = EntityKeys(np.array([each.at]), nobody, nobody, nobody, digests_of([transaction.customer]))
        expected.append(table.features(keys, [Row(None, Event(transaction, each.at, 1.0), False)]))  # type: ignore[arg-type]
    found = seen(path, rows, 400)
    assert found.tobytes() == np.concatenate(expected).tobytes()
    assert (~np.isnan(found)).sum(axis=0)[:5].min() > 20
    for size in (1, 7):
        assert seen(path, rows, size).tobytes() == found.tobytes()


def test_a_line_that_cannot_be_used_is_named_and_the_rest_counts(tmp_path: Path) -> None:
    path, left_out = tmp_path / "events.jsonl", LeftOut()
    good = {"customer": "C1", "type": "sim_swapped", "time": moment(MIDNIGHT)}
    lines = [b"{", json.dumps({**good, "customer": ""}).encode(), json.dumps({**good, "time": "soon"}).encode(), b"\xff",
             json.dumps(good).encode()]  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    customers = CustomerEvents(path, left_out)
    paying = Transaction(id="t", card="tok_12345678", customer="C1", time="", amount=1, currency="CNY")
    nobody = np.zeros(1, dtype=np.uint64)
    keys = EntityKeys(np.array([MIDNIGHT + 7_200]), nobody, nobody, nobody, digests_of(["C1"]))
    features = customers.features(keys, [Row(None, Event(paying, MIDNIGHT + 7_200, 1.0), False)])  # type: ignore[arg-type]
    assert features[0, NAMES.index("hours_since_sim_swap")] == 2.0
    assert left_out.reasons == {"not_an_event": 4}
    assert [told.split(":")[0] for told in left_out.told] == ["line 1", "line 2", "line 3", "line 4"]


def test_simulate_writes_what_evaluate_reads(tmp_path: Path) -> None:
    stream, beside = tmp_path / "stream.jsonl", tmp_path / "events.jsonl"
    made = ["simulate", "--preset", "everyone", "--cards", "60", "--days", "8", "--to", "file", "--out", str(stream)]
    assert CliRunner().invoke(main, [*made, "--customer-events", str(beside)]).exit_code == 0
    lines = [json.loads(line) for line in beside.read_text().splitlines()]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    beside.write_text(beside.read_text() + "nonsense\n")
    result = CliRunner().invoke(
        main,
        [
            "evaluate",
            str(stream),
            "--customer-events",
            str(beside),
            "--folds",
            "1",
            "--fold-days",
            "2",
            "--label-delay",
            "1d",
        ],
    )
    assert result.exit_code in (0, 1), result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("evaluate", "{stream}", "{stream}", "--customer-events", "{stream}"), "for one FILE"),
        (("simulate", "--preset", "terminals", "--to", "file", "--out", "{out}", "--customer-events", "{out}2"), "no customer events"),
        (("simulate", "--customer-events", "{out}"), "--to file"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    stream = tmp_path / "s.jsonl"
    stream.write_text("")
    result = CliRunner().invoke(main, [each.format(stream=stream, out=tmp_path / "o.csv") for each in arguments])
    assert result.exit_code == 2
    assert why in result.output
