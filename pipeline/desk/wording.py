"""How an alert reads: figures, times and steps as the words a risk analyst sees.

Everything here is a function of an alert, its story and a language, so a row is rendered once and shown to everybody.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from pipeline.core.decision import Actions, Decision, Reason
from pipeline.core.masking import mask
from pipeline.core.records import ContactStep
from pipeline.desk.figures import cut_percentile, feature, money, percent
from pipeline.desk.projection import Alert, Story, ToldCommand
from pipeline.desk.text import Language, texts

REASONS_SHOWN = 3
MERCHANT_SHOWN = 60
"""Characters; a merchant's name comes from outside and may be of any length."""

Tone = Literal["plain", "busy", "good", "bad", "warn"]
SayReason = Callable[[Reason], str]


class FeatureMeaning(Protocol):
    """One entry of the features' catalogue."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def en(self) -> str: ...
    @property
    def zh(self) -> str: ...


class Moment(NamedTuple):
    """A point of the story: ``at`` is hours, minutes and seconds in the bank's time zone."""

    at: str
    words: str
    note: str
    tone: Tone


class FeatureRow(NamedTuple):
    name: str
    value: str
    meaning: str


class AlertView(NamedTuple):
    """What a row and the detail page say. ``machine_time`` is RFC 3339."""

    id: str
    outcome: str
    outcome_words: str
    outcome_meaning: str
    at: str
    day: str
    machine_time: str
    amount: str
    merchant: str
    country: str
    card: str
    score: str
    one_in: str
    percentile: str
    percentile_short: str
    reasons: Sequence[str]
    reasons_shown: int
    more_reasons: str
    marks: Sequence[str]
    steps: Sequence[Moment]
    commands: Sequence[Moment]


def masked_card(card: str) -> str:
    """A token's last four characters: enough to tell two cards apart, too few to look one up."""
    return f"tok_…{card[-4:]}"


class Wording:
    """Words for one language, times in one zone, features' amounts in one currency."""

    def __init__(self, language: Language, zone: ZoneInfo, say: SayReason, billing_currency: str) -> None:
        self.language = language
        self.text: Mapping[str, str] = texts(language)
        self._zone = zone
        self._say = say
        self._billing_currency = billing_currency

    def clock(self, timestamp_ms: int) -> str:
        return self._local(timestamp_ms).strftime("%H:%M:%S")

    def hour(self, timestamp_ms: int) -> str:
        return self._local(timestamp_ms).strftime("%H:%M")

    def day(self, timestamp_ms: int) -> str:
        return self._local(timestamp_ms).strftime("%Y-%m-%d")

    def day_and_hour(self, timestamp_ms: int) -> str:
        return self._local(timestamp_ms).strftime("%Y-%m-%d %H:%M")

    def full_time(self, rfc3339: str) -> str:
        """The text as it came if it is no time."""
        try:
            return datetime.fromisoformat(rfc3339).astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S %Z")
        except ValueError:
            return rfc3339

    def alert(self, alert: Alert, story: Story) -> AlertView:
        decision, text = alert.decision, self.text
        timestamp_ms = alert.key[0]
        left = len(decision.reasons) - REASONS_SHOWN
        score, one_in = self._risk(decision)
        marks = [text[mark] for mark in ("warming_up", "degraded") if getattr(decision, mark)]
        return AlertView(
            id=decision.id,
            outcome=alert.outcome.name,
            outcome_words=text[f"outcome_{alert.outcome.name}"],
            outcome_meaning=text[f"meaning_{alert.outcome.name}"],
            at=self.clock(timestamp_ms),
            day=self.day(timestamp_ms),
            machine_time=datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds"),
            amount=money(decision.amount, decision.currency),
            merchant=mask(decision.merchant_name or "")[:MERCHANT_SHOWN],
            country=decision.country or "",
            card=masked_card(decision.card),
            score=score,
            one_in=one_in,
            percentile=text["percentile"].format(percent=cut_percentile(decision.percentile)),
            percentile_short=text["percentile_short"].format(percent=cut_percentile(decision.percentile)),
            reasons=[mask(self._say(reason)) for reason in decision.reasons],
            reasons_shown=REASONS_SHOWN,
            more_reasons=text["more_reasons"].format(n=left) if left > 0 else "",
            marks=marks,
            steps=[self.moment(told.timestamp_ms, told.step) for told in story.steps],
            commands=[self._command(told) for told in story.commands],
        )

    def actions(self, actions: Actions) -> Sequence[str]:
        """What is advised, part by part; parts that ask for nothing are left out."""
        parts = (
            f"action_transaction_{actions.transaction}",
            f"action_card_{actions.card}",
            f"action_contact_{actions.contact}",
            f"action_queue_{actions.queue}",
        )
        return [self.text[part] for part in parts if not part.endswith("_none")]

    def features(self, decision: Decision, catalogue: Sequence[FeatureMeaning]) -> Sequence[FeatureRow]:
        """In the catalogue's order, what it does not know at the end."""
        values = decision.features or {}
        known = {meaning.name: meaning for meaning in catalogue}
        names = [name for name in known if name in values] + [name for name in values if name not in known]
        rows = []
        for name in names:
            meaning = known.get(name)
            words = self.text["feature_unknown"]
            if meaning is not None:
                words = meaning.zh if self.language == "zh-CN" else meaning.en
            unit = meaning.unit if meaning is not None else "count"
            rows.append(FeatureRow(name, feature(values[name], unit, self._billing_currency, self.text), words))
        return rows

    def _risk(self, decision: Decision) -> tuple[str, str]:
        """What stands first under "why", and what beside it. Where rules brought the outcome, a small probability would
        read as if there were nothing to it: then the rule comes first, and the probability as what it is without it."""
        share = percent(decision.score)
        if decision.by_rule:
            return self.text["by_rule"], self.text["score_alone"].format(percent=share)
        return self.text["fraud_chance"].format(percent=share), self._one_in(decision.score)

    def _one_in(self, score: float) -> str:
        """The score as a frequency, which people judge better than a percentage (Gigerenzer); from a half up "1 in 1"
        would mislead."""
        if score >= 0.5:
            return self.text["likely"]
        return self.text["one_in"].format(n=f"{round(1 / score):,}") if score > 0 else ""

    def moment(self, timestamp_ms: int, step: ContactStep) -> Moment:
        """A step of a conversation of any class."""
        attempt = self.text["attempt"].format(n=step.attempt) if step.attempt is not None and step.attempt > 1 else ""
        return Moment(self.clock(timestamp_ms), self._step_words(step), attempt, _step_tone(step))

    def _step_words(self, step: ContactStep) -> str:
        if step.step == "answered" and step.answer is not None:
            return self.text[f"answer_{step.answer}"]
        if step.step == "failed" and step.reason is not None:
            return self.text.get(f"failed_{step.reason}", self.text["step_failed"])
        words = self.text[f"step_{step.step}"]
        if step.channel in (None, "voice"):
            return words
        return self.text.get(f"step_{step.step}_message", words)

    def _command(self, told: ToldCommand) -> Moment:
        command = told.command
        scope = "" if command.scope == "all" else self.text.get(f"scope_{command.scope}", command.scope)
        state = self.text["done_wait" if told.done is None else "done_yes" if told.done else "done_no"]
        tone: Tone = "bad" if told.done is False else _COMMAND_TONES[command.command]
        note = f"{scope} · {state}" if scope else state
        return Moment(self.clock(told.timestamp_ms), self.text[f"command_{command.command}"], note, tone)

    def _local(self, timestamp_ms: int) -> datetime:
        return datetime.fromtimestamp(timestamp_ms / 1000, self._zone)


_ANSWER_TONES: Mapping[str, Tone] = MappingProxyType({"yes": "good", "no": "bad"})
_STEP_TONES: Mapping[str, Tone] = MappingProxyType(
    {
        "sending": "busy",
        "accepted": "busy",
        "delivered": "busy",
        "failed": "warn",
        "unknown": "warn",
        "escalated": "warn",
        "expired": "warn",
    }
)
_COMMAND_TONES: Mapping[str, Tone] = MappingProxyType(
    {"hold": "warn", "limit": "warn", "release": "good", "block": "bad"}
)


def _step_tone(step: ContactStep) -> Tone:
    if step.step == "answered":
        return _ANSWER_TONES.get(step.answer or "none", "warn")
    return _STEP_TONES.get(step.step, "plain")
