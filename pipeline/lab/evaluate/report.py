"""The figures as a page: one HTML file that needs nothing from elsewhere and reads on light and on dark ground."""

from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.lab.evaluate.charts import Chart, by_delay, calibration, cards_by_day, detected, precision_recall
from pipeline.lab.evaluate.results import Evaluation, FileResult
from pipeline.lab.evaluate.table import alert_cells, kind_cells, settings_line, shown, spread_words, stream_line
from pipeline.lab.evaluate.words import FIGURES, Figure, Language, figure_name, group_name, texts

HEADLINES = ("average_precision", "card_precision", "accounts_10", "savable_10", "ece_above", "roc_auc")


class Headline(NamedTuple):
    title: str
    value: str
    spread: str


class Line(NamedTuple):
    """A row of a table: what it is about, and its cells."""

    title: str
    cells: list[str]


class Picture(NamedTuple):
    title: str
    note: str
    chart: Chart


class Section(NamedTuple):
    """One file: what the stream was, its pictures and tables."""

    name: str
    stream: str
    left_out: str
    pictures: list[Picture]
    folds_head: list[str]
    folds: list[Line]
    kinds: list[Line]
    alerts: list[Line]
    outcomes: list[Line]
    groups: list[Line]


def page(evaluation: Evaluation, language: Language) -> str:
    """The HTML of ``evaluation``. Names of files and of kinds of fraud are escaped: they come from outside."""
    say = texts(language)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    delays = by_delay(evaluation, say["delay_title"], say["delay"], _name("average_precision", evaluation, language))
    return environment.get_template("report.html.j2").render(
        say=say,
        language=language,
        simulated=evaluation.simulated,
        settings=settings_line(evaluation, language),
        headlines=[_headline(name, evaluation, language) for name in HEADLINES if name in evaluation.over_files],
        over_files=_over_files(evaluation, language) if len(evaluation.files) > 1 else [],
        files=[file.file for file in evaluation.files],
        delays=delays,
        sections=[_section(file, evaluation, language) for file in evaluation.files],
    )


def _figure(name: str) -> Figure:
    return next(figure for figure in FIGURES if figure.name == name)


def _name(name: str, evaluation: Evaluation, language: Language) -> str:
    return figure_name(_figure(name), language, evaluation.cards_per_day)


def _headline(name: str, evaluation: Evaluation, language: Language) -> Headline:
    """The mean over files; its deviation over files, or over the folds of the only one."""
    several = len(evaluation.files) > 1
    spread = evaluation.over_files[name] if several else evaluation.files[0].over_folds[name]
    return Headline(_name(name, evaluation, language), *spread_words(spread, _figure(name)))


def _over_files(evaluation: Evaluation, language: Language) -> list[Line]:
    lines = []
    for figure in FIGURES:
        if figure.name in evaluation.over_files:
            means = [file.over_folds.get(figure.name) for file in evaluation.files]
            cells = [shown(each.mean if each else None, figure) for each in means]
            title = figure_name(figure, language, evaluation.cards_per_day)
            lines.append(Line(title, [*spread_words(evaluation.over_files[figure.name], figure), *cells]))
    return lines


def _section(file: FileResult, evaluation: Evaluation, language: Language) -> Section:
    say, last, k = texts(language), file.folds[-1], evaluation.cards_per_day
    reasons = ", ".join(f"{name} {n:,}" for name, n in file.left_out.items())
    return Section(
        name=file.file,
        stream=f"{stream_line(file, language)} · {say['speed'].format(speed=f'{file.speed.per_second:,.0f}')}",
        left_out=say["left_out"].format(reasons=reasons) if reasons else "",
        pictures=_pictures(file, evaluation, language),
        folds_head=[
            f"{say['fold'].format(n=n)}, {say['fold_days'].format(first=fold.first_day, last=fold.first_day + fold.days - 1)}"
            for n, fold in enumerate(file.folds, 1)
        ],
        folds=[
            Line(say["tested"], ["", "", *(f"{fold.tested:,}" for fold in file.folds)]),
            Line(say["frauds"], ["", "", *(f"{fold.frauds:,}" for fold in file.folds)]),
            *(
                Line(
                    figure_name(figure, language, k),
                    [
                        *spread_words(file.over_folds[figure.name], figure),
                        *(shown(fold.values.get(figure.name), figure) for fold in file.folds),
                    ],
                )
                for figure in FIGURES
                if figure.name in file.over_folds
            ),
        ],
        kinds=[Line(name, kind_cells(kind)) for name, kind in last.kinds.items()],
        alerts=[Line(f"{each.threshold:g}", alert_cells(each)) for each in last.alerts],
        outcomes=[Line(name, [f"{n:,.1f}"]) for name, n in last.outcomes_per_10000.items()],
        groups=[
            Line(group_name(code, language), [*spread_words(lost, _figure("average_precision"))])
            for code, lost in file.groups.items()
        ],
    )


def _pictures(file: FileResult, evaluation: Evaluation, language: Language) -> list[Picture]:
    say, k = texts(language), evaluation.cards_per_day
    precision = say["precision"]
    words = (say["accounts"], say["value"], say["savable"])
    by_day = say["cards_by_day"].format(k=k)
    return [
        Picture(
            say["precision_recall"],
            say["precision_recall_note"],
            precision_recall(file, say["precision_recall"], say["recall"], precision, say["fold"]),
        ),
        Picture(by_day, say["cards_by_day_note"].format(k=k), cards_by_day(file, by_day, say["day"], precision)),
        Picture(say["detection"], say["detection_note"], detected(file, say["detection"], words)),
        Picture(
            say["calibration"],
            say["calibration_note"],
            calibration(file, say["calibration"], say["mean_score"], say["share_of_fraud"], say["fold"]),
        ),
    ]
