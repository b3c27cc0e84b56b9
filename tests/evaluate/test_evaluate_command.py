"""`cardwatch evaluate` from outside: files in, table, JSON, scores and page out."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.cli_evaluate import Bar
from pipeline.core.decision import Outcome
from pipeline.lab.evaluate.charts import by_delay
from pipeline.lab.evaluate.report import page
from pipeline.lab.evaluate.results import Evaluation, Spread, spread
from pipeline.lab.evaluate.table import table
from pipeline.lab.evaluate.words import FIGURES, LANGUAGES, texts
from tests.evaluate.evaluate_world import month

FOLDS = ("--folds", "2", "--fold-days", "3")


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 transactions of ten days, JSON lines, with a bad row and two out of order at the end."""
    path = tmp_path_factory.mktemp("evaluate") / "stream.jsonl"
    lines = []
    for each in month(rows=1_500, days=10):
        kind = {"fraud_type": "<theft>"} if each.fraud else {}
        lines.append(msgspec.json.encode(msgspec.json.decode(each.value) | {"fraud": int(each.fraud), **kind}))
    path.write_bytes(b"\n".join([*lines, lines[0], b"not json", lines[1]]) + b"\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)], env={"CARDWATCH_SNAPSHOT_KEY": None})


@pytest.fixture(scope="module")
def told(stream: Path) -> tuple[Result, Path, Path]:
    scores, report = stream.with_suffix(".csv"), stream.with_suffix(".html")
    result = run(stream, *FOLDS, "--json", "--scores", scores, "--report", report, "--simulated", "--other-delay", "1d")
    assert result.exit_code == 0, result.output
    return result, scores, report


def evaluation(result: Result) -> Evaluation:
    return msgspec.json.decode(result.stdout, type=Evaluation)


def test_json_has_every_figure_and_what_was_left_out(told: tuple[Result, Path, Path]) -> None:
    found = evaluation(told[0])
    (file,) = found.files
    assert (file.file, file.rows, file.scored, file.days) == ("stream.jsonl", 1_503, 1_500, 10)
    assert file.left_out == {"not_json": 1, "out_of_order": 2}
    assert [(fold.first_day, fold.days) for fold in file.folds] == [(4, 3), (7, 3)]
    together = {"ece_above_pooled", "ece_above_pooled_floor"}
    assert set(file.folds[0].values) == {figure.name for figure in FIGURES} - together
    for name in together:
        assert file.over_folds[name].n == found.over_files[name].n == 1
    assert found.by_delay["1"]["roc_auc"].n == 1
    assert file.over_folds["roc_auc"].mean == pytest.approx(sum(f.values["roc_auc"] or 0 for f in file.folds) / 2)
    assert file.midnight == "2026-01-01T00:00:00.000Z"
    assert set(file.folds[1].kinds) == {"<theft>"}
    assert 0.5 < file.over_folds["roc_auc"].mean <= 1.0


def test_rows_left_out_are_told_on_standard_error(told: tuple[Result, Path, Path]) -> None:
    lines = told[0].stderr.splitlines()
    assert [line.split(": ", 1)[1].split(":")[0] for line in lines[:3]] == ["row 1501", "row 1503", "row 1502"]
    assert "3 rows left out; the rest is evaluated" in lines[3]


def test_scores_has_a_line_for_every_transaction_in_order(told: tuple[Result, Path, Path]) -> None:
    with told[1].open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["id", "score", "percentile", "outcome"]
    assert [line[0] for line in lines] == [f"t{number}" for number in range(1, 1_501)]
    assert {line[3] for line in lines} <= {outcome.name for outcome in Outcome}
    assert all(0 <= float(line[1]) <= 1 and 0 <= float(line[2]) <= 100 for line in lines)


class Page(HTMLParser):
    """What a browser would ask for elsewhere, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.asked: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Page:
    found = Page()
    found.feed(text)
    return found


def test_the_report_is_one_file_that_asks_for_nothing(told: tuple[Result, Path, Path]) -> None:
    text = told[2].read_text(encoding="utf-8")
    found = read(text)
    assert found.asked == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text)
    assert not {"script", "link", "img", "iframe", "theft"} & set(found.tags)  # the kind <theft> is text
    assert found.tags.count("svg") == 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_of_a_simulated_stream_says_so(told: tuple[Result, Path, Path], language: str) -> None:
    known = next(each for each in LANGUAGES if each == language)
    found, words = evaluation(told[0]), texts(known)["simulated"]
    marked, plain = read(page(found, known)), read(page(msgspec.structs.replace(found, simulated=False), known))
    figures = marked.tags.count("svg") + marked.tags.count("table") + marked.tags.count("b")
    assert marked.text.count(words) == figures
    assert words not in plain.text


def test_the_table_says_it_in_both_languages(stream: Path) -> None:
    english, chinese = (run(stream, *FOLDS, "--language", language, "--simulated").stdout for language in LANGUAGES)
    for output, words in ((english, "average precision"), (chinese, "平均精度")):
        assert words in output
    assert texts("en")["simulated"] in english
    assert texts("zh-CN")["simulated"] in chinese
    assert len(english.splitlines()) == len(chinese.splitlines())


def test_several_files_are_streams_of_their_own(stream: Path) -> None:
    found = evaluation(run(stream, stream, *FOLDS, "--json"))
    one, other = found.files
    assert one.folds == other.folds
    assert found.over_files["roc_auc"] == Spread(one.over_folds["roc_auc"].mean, 0.0, 2)
    assert not found.simulated


def test_where_no_label_is_ever_shown_truth_changes_no_score(stream: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    rows = [msgspec.json.decode(line) for line in stream.read_bytes().splitlines()[:1_500]]
    other.write_bytes(
        b"\n".join(msgspec.json.encode(row | {"fraud": number % 3 // 2}) for number, row in enumerate(rows))
    )
    scores = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for path, out in zip((stream, other), scores, strict=True):
        result = run(path, *FOLDS, "--label-delay", "never", "--json", "--scores", out)
        assert result.exit_code == 0, result.output
        found = evaluation(result)
        assert (found.label_delay_days, found.files[0].labels) == (None, 0)
        assert found.over_files["average_precision"] == found.over_files["average_precision_all"]
    assert scores[0].read_bytes() == scores[1].read_bytes()
    assert "No label is ever shown" in table(found)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{stream}", "--label-delay", "never", "--calls-per-day", "3"), 2, "neither calls nor other delays"),
        (("nowhere.csv",), 1, "there is no such file"),
        ((), 2, "Missing argument"),
        (("{stream}", "--label-delay", "soon"), 2, "write 7d, 12h"),
        (("{stream}", "--model-every", "0s"), 2, "must be above 0"),
        (("{stream}", "{stream}", "--scores", "x.csv"), 2, "--scores is for one FILE"),
        (("{stream}", "--folds", "9"), 1, "do not fit into a stream of 10 days"),
        (("{stream}", "--scores", "/nowhere/x.csv"), 1, "/nowhere/x.csv: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    stream: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = run(*(argument.format(stream=stream) for argument in arguments))
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_without_a_usable_row_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,card,time,amount,currency,fraud\na,4111111111111111,2026-01-01T00:00:00Z,1,CNY,0\n")
    result = run(path)
    assert result.exit_code == 1
    assert "no row could be scored; row 1: card holds a clear card number" in result.stderr
    assert "4111" not in result.output


def test_no_bar_is_drawn_where_nobody_watches(told: tuple[Result, Path, Path]) -> None:
    assert "\r" not in told[0].stderr


def test_mean_and_deviation_leave_out_what_could_not_be_said() -> None:
    assert spread([1.0, None, 3.0]) == Spread(2.0, pytest.approx(2**0.5), 2)
    assert spread([5.0]) == Spread(5.0, None, 1)
    assert spread([None]) is None


def test_quality_against_delay_is_drawn_from_two_delays_on(told: tuple[Result, Path, Path]) -> None:
    found = evaluation(told[0])
    chart = by_delay(found, "", "", "")
    assert chart is not None
    assert [tick.text for tick in chart.x_ticks] == ["1", "7"]
    assert by_delay(msgspec.structs.replace(found, by_delay={}), "", "", "") is None


def test_days_begin_at_midnight_where_the_first_row_was_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"id": f"t{n}", "card": "tok_aaaaaaaa", "time": f"2026-01-0{n}T00:30:00+08:00", "amount": 5, "currency": "CNY", "fraud": 0}
        for n in range(1, 6)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    (file,) = evaluation(run(path, "--folds", "1", "--fold-days", "2", "--json")).files
    assert (file.midnight, file.days) == ("2025-12-31T16:00:00.000Z", 5)
    assert file.folds[0].first_day == 3


def test_the_bar_is_drawn_now_and_then_and_always_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.wanted = True
    bar.begin(Path("a.csv"), 1_000)
    for read_so_far in range(100, 1_001, 100):
        bar.progress(read_so_far)
    lines = capsys.readouterr().err.split("\r")
    assert lines[-1] == f"a.csv  {'█' * 30} 1,000 / 1,000\n"
    assert 2 <= len(lines) < 10


def test_the_command_line_starts_without_what_evaluate_needs() -> None:
    code = "import sys; import pipeline.cli; print('duckdb' in sys.modules, 'river' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
