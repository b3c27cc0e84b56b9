"""The parts of the page that live, rendered once for all who watch.

Each part is a function of the projection's revision or of the running second, so a hundred open pages cost one
rendering per language, and a row is rendered again only when its own story goes on.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.core.decision import Outcome
from pipeline.desk.counting import CHART_S, HOUR_S, MINUTE_S
from pipeline.desk.feed import Link
from pipeline.desk.projection import Alert, Projection
from pipeline.desk.text import LANGUAGES, Language
from pipeline.desk.wording import FeatureMeaning, Wording

ALERTS_SHOWN = 40
ROWS_KEPT = 4 * ALERTS_SHOWN * len(LANGUAGES)

Now = Callable[[], float]


class Tally(NamedTuple):
    """One outcome's line in the table of counts."""

    outcome: str
    words: str
    meaning: str
    minute: str
    hour: str


def environment() -> Environment:
    """Autoescape is on for every template: merchants' names come from outside."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Fragments:
    """``link`` answers how the feed stands; ``now`` is unix seconds."""

    def __init__(
        self,
        templates: Environment,
        projection: Projection,
        wordings: Mapping[Language, Wording],
        features: Sequence[FeatureMeaning],
        link: Callable[[], Link],
        now: Now,
    ) -> None:
        self._templates = templates
        self._projection = projection
        self._wordings = wordings
        self._features = features
        self._link = link
        self._now = now
        self._figures: dict[Language, tuple[int, str]] = {}
        self._chart: tuple[int, str] = (-1, "")
        self._list: dict[Language, tuple[int, str]] = {}
        self._rows: OrderedDict[tuple[str, Language, int], str] = OrderedDict()

    def link(self, language: Language) -> str:
        return self._render("_link.html", language, link=self._link().value)

    def chart(self) -> str:
        """JSON {"end": unix second after the last count, "counts": per second, oldest first}; new once a second."""
        second = int(self._now())
        if self._chart[0] != second:
            counts = list(self._projection.counting.per_second(second, CHART_S))
            self._chart = (second, json.dumps({"end": second, "counts": counts}, separators=(",", ":")))
        return self._chart[1]

    def rate(self, language: Language) -> str:
        rate = self._projection.counting.rate(int(self._now()))
        return self._render("_rate.html", language, rate=f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}")

    def figures(self, language: Language) -> str:
        """Decision time and counts; new once a second, so that the figures can be read."""
        second = int(self._now())
        made, html = self._figures.get(language, (-1, ""))
        if made != second:
            html = self._render_figures(language, second)
            self._figures[language] = (second, html)
        return html

    def alerts(self, language: Language) -> str:
        """The newest alerts; new when an alert or a story is."""
        revision = self._projection.revision
        made, html = self._list.get(language, (-1, ""))
        if made != revision:
            newest = self._projection.alerts(ALERTS_SHOWN)
            rows = [self._row(alert, language) for alert in newest]
            html = self._render("_alerts.html", language, rows=rows, kept=len(self._projection))
            self._list[language] = (revision, html)
        return html

    def detail(self, alert: Alert, language: Language) -> str:
        wording = self._wordings[language]
        decision = alert.decision
        return self._render(
            "_detail.html",
            language,
            alert=wording.alert(alert, self._projection.story(decision.id)),
            decision=decision,
            time=wording.full_time(decision.time),
            decided=wording.full_time(decision.decided_at),
            latency=self._duration(float(alert.latency_ms), language),
            actions=wording.actions(decision.actions),
            features=wording.features(decision, self._features),
        )

    def _row(self, alert: Alert, language: Language) -> str:
        story = self._projection.story(alert.decision.id)
        key = (alert.decision.id, language, story.revision)
        html = self._rows.get(key)
        if html is None:
            html = self._render("_alert.html", language, alert=self._wordings[language].alert(alert, story))
            self._rows[key] = html
            if len(self._rows) > ROWS_KEPT:
                self._rows.popitem(last=False)
        return html

    def _render_figures(self, language: Language, second: int) -> str:
        counting, text = self._projection.counting, self._wordings[language].text
        minute, hour = counting.outcomes(second, MINUTE_S), counting.outcomes(second, HOUR_S)
        latency = counting.latency(second)
        since_ms = counting.since_ms
        partial = since_ms is not None and since_ms / 1000 > second - HOUR_S
        return self._render(
            "_figures.html",
            language,
            half=self._duration(latency.p50_ms, language),
            most=self._duration(latency.p99_ms, language),
            tallies=[
                Tally(
                    outcome.name,
                    text[f"outcome_{outcome.name}"],
                    text[f"meaning_{outcome.name}"],
                    f"{minute[outcome]:,}",
                    f"{hour[outcome]:,}",
                )
                for outcome in Outcome
            ],
            since=self._wordings[language].hour(since_ms) if partial and since_ms is not None else "",
        )

    def _duration(self, milliseconds: float | None, language: Language) -> tuple[str, str]:
        """Figure and unit."""
        text = self._wordings[language].text
        if milliseconds is None:
            return text["none_yet"], ""
        if milliseconds >= 1000:
            return f"{milliseconds / 1000:.1f}", text["s"]
        return (f"{milliseconds:.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"), text["ms"]

    def _render(self, template: str, language: Language, **values: object) -> str:
        return self._templates.get_template(template).render(t=self._wordings[language].text, **values)
