"""The parts of the pages about reminders that live; each is rendered at most once a second and language."""

from collections.abc import Callable, Mapping

from jinja2 import Environment

from pipeline.desk.figures import money
from pipeline.desk.owing import Cure, PromiseWord
from pipeline.desk.reminding import CUSTOMERS_KEPT, STEPS_OF_ONE, Reminding
from pipeline.desk.reminding_wording import FEW, RemindingWording, name_of, short
from pipeline.desk.text import Language
from pipeline.desk.text_reminding import REMINDING
from pipeline.desk.wording import Wording

SHOWN = 40
PROMISES_SHOWN = 200
PAYMENTS_SHOWN = 40


class RemindingFragments:
    """``now`` is unix seconds."""

    def __init__(
        self,
        templates: Environment,
        reminding: Reminding,
        wordings: Mapping[Language, Wording],
        now: Callable[[], float],
    ) -> None:
        self._templates = templates
        self._reminding = reminding
        self._wordings = wordings
        self._says = {language: RemindingWording(wording) for language, wording in wordings.items()}
        self._now = now
        self._made: dict[tuple[str, Language], tuple[int, str]] = {}

    def reminders(self, language: Language) -> str:
        return self._once("reminders", language, self._reminders)

    def promises(self, language: Language) -> str:
        return self._once("promises", language, self._promises)

    def knows(self, customer: str) -> bool:
        return bool(self._reminding.of_customer(customer)) or bool(
            self._reminding.owing.promises_of(customer, self._now_ms())
        )

    def customer(self, customer: str, language: Language) -> str:
        says, owing, wording = self._says[language], self._reminding.owing, self._wordings[language]
        payments = sorted(owing.payments(customer), key=lambda each: each[1].at_ms, reverse=True)[:PAYMENTS_SHOWN]
        return self._render(
            "_customer.html",
            language,
            customer=name_of(customer),
            timeline=says.timeline(reversed(self._reminding.of_customer(customer))),
            promises=[says.promise(each) for each in owing.promises_of(customer, self._now_ms())],
            payments=[
                (
                    wording.day_and_hour(payment.at_ms),
                    money(payment.amount, account.currency or None),
                    short(account.id),
                    wording.text[f"payment_{2 if payment.reversed else payment.state}"],
                )
                for account, payment in payments
            ],
            steps=STEPS_OF_ONE,
        )

    def customers_kept(self) -> str:
        return f"{CUSTOMERS_KEPT:,}"

    def _reminders(self, language: Language) -> str:
        says, now_ms = self._says[language], self._now_ms()
        day = self._reminding.day(now_ms)
        cures = self._reminding.owing.cures(now_ms)
        return self._render(
            "_reminders.html",
            language,
            day=self._wordings[language].day(now_ms),
            total=day.total,
            stages=[(says.stage(stage), tally) for stage, tally in sorted(day.stages.items(), key=_in_order)],
            reasons=[
                (title, [(says.why(reason), f"{count:,}") for reason, count in counts])
                for title, counts in (
                    ("title_waiting", day.waiting),
                    ("title_stopped", day.stopped),
                    ("title_skipped", day.skipped),
                )
            ],
            cure_tables=[
                ("stage", [says.cure(says.stage(str(key)), cure) for key, cure in _summed(cures, 0)]),
                ("column_channel", [says.cure(says.channel(str(key)), cure) for key, cure in _summed(cures, 1)]),
                ("hour", [says.cure(f"{key:02}:00", cure) for key, cure in _summed(cures, 2)]),
            ],
            unjudged=sum(cure.unjudged for cure in cures.values()),
            few=FEW,
            rows=[says.reminder(each) for each in self._reminding.newest(SHOWN)],
            kept=f"{len(self._reminding):,}",
            accounts=f"{len(self._reminding.owing):,}",
        )

    def _promises(self, language: Language) -> str:
        promises = self._reminding.owing.promises(self._now_ms())
        counts: dict[PromiseWord, int] = {"open": 0, "kept": 0, "broken": 0, "replaced": 0}
        for each in promises:
            counts[each.state] += 1
        return self._render(
            "_promises.html",
            language,
            rows=[self._says[language].promise(each) for each in promises[:PROMISES_SHOWN]],
            counts=counts,
        )

    def _once(self, part: str, language: Language, render: Callable[[Language], str]) -> str:
        second = int(self._now())
        made, html = self._made.get((part, language), (-1, ""))
        if made != second:
            html = render(language)
            self._made[part, language] = (second, html)
        return html

    def _now_ms(self) -> int:
        return round(self._now() * 1000)

    def _render(self, template: str, language: Language, **values: object) -> str:
        return self._templates.get_template(template).render(t=self._wordings[language].text, **values)


_ORDER = [key.removeprefix("stage_") for key in REMINDING if key.startswith("stage_")]
"""Stages in the order of a bill's days; those of the bank's own names come after them."""


def _in_order(item: tuple[str, object]) -> tuple[int, str]:
    stage = item[0]
    return (_ORDER.index(stage) if stage in _ORDER else len(_ORDER)), stage


def _summed(cures: Mapping[tuple[str, str, int], Cure], column: int) -> list[tuple[str | int, Cure]]:
    """By stage (0), channel (1) or hour (2): stages and hours in their order, channels the most told first."""
    sums: dict[str | int, Cure] = {}
    for key, cure in cures.items():
        known = sums.get(key[column], Cure())
        sums[key[column]] = Cure(*(left + right for left, right in zip(known, cure, strict=True)))
    found = [(key, cure) for key, cure in sums.items() if cure.told]
    if column == 0:
        return sorted(found, key=lambda item: _in_order((str(item[0]), None)))
    if column == 2:
        return sorted(found, key=lambda item: item[0])
    return sorted(found, key=lambda item: (-item[1].told, str(item[0])))
