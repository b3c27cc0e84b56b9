"""The figures as a compact table, for a terminal."""

import unicodedata
from collections.abc import Iterator, Sequence

from pipeline.lab.evaluate.measures import Alerts, Kind
from pipeline.lab.evaluate.results import Evaluation, FileResult, Spread
from pipeline.lab.evaluate.words import FIGURES, Figure, Language, figure_name, texts


def table(evaluation: Evaluation, language: Language = "en") -> str:
    """Lines of text: how it was evaluated, each file's figures over its folds, and over the files if there are several."""
    say = texts(language)
    blocks = [settings_line(evaluation, language)]
    if evaluation.simulated:
        blocks.append(say["simulated"])
    blocks += ["\n".join(_file(file, evaluation, language)) for file in evaluation.files]
    if len(evaluation.files) > 1:
        blocks.append("\n".join(_over_files(evaluation, language)))
    if evaluation.by_delay:
        blocks.append("\n".join(_by_delay(evaluation, language)))
    return "\n\n".join(blocks) + "\n"


def _file(file: FileResult, evaluation: Evaluation, language: Language) -> Iterator[str]:
    say = texts(language)
    yield f"{file.file}: " + stream_line(file, language)
    if file.left_out:
        yield say["left_out"].format(reasons=", ".join(f"{name} {n:,}" for name, n in file.left_out.items()))
    yield say["speed"].format(speed=f"{file.speed.per_second:,.0f}")
    titles = [say["fold"].format(n=number) for number in range(1, len(file.folds) + 1)]
    head = [say["figure"], say["mean"], say["sd"], *titles]
    lines = [
        [
            figure_name(figure, language, evaluation.cards_per_day),
            *spread_words(file.over_folds[figure.name], figure),
            *(shown(fold.values.get(figure.name), figure) for fold in file.folds),
        ]
        for figure in FIGURES
        if figure.name in file.over_folds
    ]
    yield from _aligned([head, *lines])
    last = file.folds[-1]
    if last.kinds:
        head = [say["kinds_title"], say["transactions"], say["cards"], "AP", say["detected_at_10"]]
        kinds = [[name, *kind_cells(kind)] for name, kind in last.kinds.items()]
        yield from _aligned([head, *kinds])
    head = [say["threshold"], say["per_10000"], say["precision"], say["recall"]]
    alerts = [[f"{each.threshold:g}", *alert_cells(each)] for each in last.alerts]
    yield from _aligned([head, *alerts])


def _over_files(evaluation: Evaluation, language: Language) -> Iterator[str]:
    say = texts(language)
    yield say["over_files"].format(n=len(evaluation.files))
    head = [say["figure"], say["mean"], say["sd"], *(file.file for file in evaluation.files)]
    lines = [
        [
            figure_name(figure, language, evaluation.cards_per_day),
            *spread_words(evaluation.over_files[figure.name], figure),
            *(shown(_mean(file, figure), figure) for file in evaluation.files),
        ]
        for figure in FIGURES
        if figure.name in evaluation.over_files
    ]
    yield from _aligned([head, *lines])


def _by_delay(evaluation: Evaluation, language: Language) -> Iterator[str]:
    say = texts(language)
    yield say["delay_title"]
    figures = [figure for figure in FIGURES if figure.name in ("average_precision", "card_precision", "accounts_10")]
    head = [say["delay"], *(figure_name(figure, language, evaluation.cards_per_day) for figure in figures)]
    lines = [
        [
            say["delay_days"].format(n=days),
            *(
                " ".join(spread_words(found[figure.name], figure)) if figure.name in found else "–"
                for figure in figures
            ),
        ]
        for days, found in evaluation.by_delay.items()
    ]
    yield from _aligned([head, *lines])


def settings_line(evaluation: Evaluation, language: Language) -> str:
    """How it was evaluated."""
    say, days = texts(language), evaluation.label_delay_days
    return say["settings"].format(
        labels=say["labels_never"] if days is None else say["labels_late"].format(delay=f"{days:g}"),
        calls=evaluation.calls_per_day,
        every=f"{evaluation.model_every_minutes:g}",
        policy=evaluation.policy_version,
    )


def stream_line(file: FileResult, language: Language) -> str:
    """What the stream was, in a line."""
    return texts(language)["stream"].format(
        scored=f"{file.scored:,}",
        rows=f"{file.rows:,}",
        cards=f"{file.cards:,}",
        frauds=f"{file.frauds:,}",
        rate=f"{100 * file.frauds / max(file.scored, 1):.3f}",
        days=file.days,
        midnight=file.midnight,
    )


def shown(value: float | None, figure: Figure) -> str:
    """A figure's value as people read it."""
    return percent(value) if figure.percent else number(value)


def spread_words(spread: Spread, figure: Figure) -> tuple[str, str]:
    """Mean and deviation."""
    return shown(spread.mean, figure), "" if spread.sd is None else f"± {shown(spread.sd, figure)}"


def kind_cells(kind: Kind) -> list[str]:
    """What is told of one kind of fraud, behind its name."""
    return [
        f"{kind.transactions:,}",
        f"{kind.cards:,}",
        number(kind.average_precision),
        percent(kind.detected_at_10),
    ]


def alert_cells(alerts: Alerts) -> list[str]:
    """What is told of one threshold, behind it."""
    return [f"{alerts.per_10000:.1f}", percent(alerts.precision), percent(alerts.recall)]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _mean(file: FileResult, figure: Figure) -> float | None:
    found = file.over_folds.get(figure.name)
    return None if found is None else found.mean


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns under each other, the first to the left, the others to the right."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield ""
    for row in rows:
        first, *others = ((" " * (width - _width(text)), text) for text, width in zip(row, widths, strict=True))
        yield (first[1] + first[0] + "".join(f"  {blank}{text}" for blank, text in others)).rstrip()


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
