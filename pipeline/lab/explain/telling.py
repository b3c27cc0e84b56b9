"""An explanation as text, in English or Chinese."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from pipeline.core.currencies import EXPONENTS
from pipeline.core.decide import figure
from pipeline.lab.explain.explanation import Again, Explanation, FeatureValue
from pipeline.lab.explain.near import RulePart, RuleSeen
from pipeline.lab.explain.words import LABELS, UNITS, WHY, Language

_LEAST_SHOWN: Final = 0.05
"""Log odds: a group that adds or takes less is left out."""
_BAR: Final = MappingProxyType({True: "+", False: "–"})


def tell(found: Explanation, language: Language) -> str:
    """All of ``found`` in ``language``, ending in a newline."""
    return "\n".join(_lines(found, language)) + "\n"


def _lines(found: Explanation, language: Language) -> Iterator[str]:
    word = {name: pair[language == "zh"] for name, pair in LABELS.items()}
    yield f"{word['transaction']} {found.transaction}"
    yield f"  {word['card']}: {found.card}"
    yield f"  {word['time']}: {found.time}"
    yield f"  {word['amount']}: {_amount(found) or word['unknown']}"
    yield f"{word['decision']}: {found.outcome}"
    yield "  " + ", ".join(f"{name} = {value}" for name, value in found.actions.items())
    yield f"  {word['decided_at']}: {found.decided_at}"
    yield f"  {word['policy']}: {found.policy_version}"
    model = f"{found.model_version}{word['warming_up'] if found.warming_up else ''}"
    yield f"  {word['model']}: {model}{word['degraded'] if found.degraded else ''}"
    if found.score is not None and found.percentile is not None:
        yield f"{word['score']}: {found.score:.4g}   {word['percentile']}: {found.percentile:.2f}"
    else:
        yield word["no_score"]
    yield from _reasons(found, word, language)
    yield from _grounds(found, word, language)
    yield from _rules(found, word)
    yield from _features(found, word, language)
    yield word["again"]
    yield f"  {word['score']}: {_again(found.score_again, language)}"
    yield f"  {word['decision']}: {_again(found.decision_again, language)}"
    for one in found.shadow:
        yield f"  {word['challenger']} {one.model_version}, {word['score']} {one.score:.4g}: {_again(one.again, language)}"


def _amount(found: Explanation) -> str | None:
    if found.amount is None or found.currency is None:
        return None
    places = EXPONENTS.get(found.currency, 2)
    return f"{found.amount / 10**places:,.{places}f} {found.currency}"


def _reasons(found: Explanation, word: dict[str, str], language: Language) -> Iterator[str]:
    if found.reasons is None:
        yield f"{word['reasons']}: {word['policy_not_at_hand']}"
        return
    yield f"{word['reasons']}:" if found.reasons else f"{word['reasons']}: {word['none']}"
    for reason in found.reasons:
        words = reason.words.get("zh-CN" if language == "zh" else "en", reason.code)
        yield f"  {words}  ({reason.code})"


def _grounds(found: Explanation, word: dict[str, str], language: Language) -> Iterator[str]:
    if found.grounds is None:
        return
    yield f"{word['grounds']}:"
    for ground in found.grounds:
        if abs(ground.log_odds) >= _LEAST_SHOWN:
            words = ground.words.get("zh-CN" if language == "zh" else "en", ground.code)
            yield f"  {ground.log_odds:+6.2f}  {ground.code:<16} {words if ground.log_odds > 0 else ''}".rstrip()


def _rules(found: Explanation, word: dict[str, str]) -> Iterator[str]:
    for limit in found.thresholds or ():
        sign = "≥" if limit.reached else "<"
        yield f"  {word['threshold']} {limit.outcome}: {found.score:.4g} {sign} {limit.score:g}"
    if found.rules is None:
        return
    for title, hit in ((word["rules_hit"], True), (word["rules_near"], False)):
        chosen = [rule for rule in found.rules if rule.hit == hit]
        yield f"{title}:" if chosen else f"{title}: {word['none']}"
        for rule in chosen:
            yield from _rule(rule)


def _rule(rule: RuleSeen) -> Iterator[str]:
    yield f"  {rule.name} → {rule.outcome}"
    for part in rule.parts:
        yield f"    {_BAR[part.holds]} {part.condition}{_values(part)}"


def _values(part: RulePart) -> str:
    values = ", ".join(f"{name} = {'–' if value is None else value}" for name, value in part.values.items())
    return f"   [{values}]" if values else ""


def _features(found: Explanation, word: dict[str, str], language: Language) -> Iterator[str]:
    if not found.features:
        return
    yield f"{word['features']}:"
    for feature in found.features:
        meaning = feature.meaning_zh if language == "zh" else feature.meaning_en
        yield f"  {feature.name:<20} {_value(feature, language):>18}  {meaning}"


def _value(feature: FeatureValue, language: Language) -> str:
    if feature.value is None:
        return LABELS["missing"][language == "zh"]
    unit = UNITS[feature.unit][language == "zh"]
    return f"{figure(feature.value)}{' ' if unit else ''}{unit}"


def _again(again: Again, language: Language) -> str:
    if again.why is None:
        return LABELS["same"][language == "zh"]
    told = WHY[again.why][language == "zh"]
    different = [name for name in again.recorded if again.recorded[name] != again.computed.get(name)]
    values = "; ".join(f"{name}: {again.recorded[name]} / {again.computed.get(name)}" for name in different)
    return f"{told}{f'  [{values}]' if values else ''}"
