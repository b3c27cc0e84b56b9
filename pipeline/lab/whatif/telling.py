"""An answer as text, in English or Chinese."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pipeline.lab.explain.words import Language
from pipeline.lab.whatif.answer import Answer, Curve, Known
from pipeline.lab.whatif.staffing import Suggestion

_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "title": ("What if", "假如"),
    "policy": ("policy", "策略"),
    "own": ("each transaction's own", "各笔交易当时的策略"),
    "model": ("model", "模型"),
    "lists": ("lists, as they are now", "名单（以当前内容为准）"),
    "days": ("days of arrival, UTC", "到达日期（UTC）"),
    "transactions": ("transactions", "交易笔数"),
    "cards": ("cards", "卡片数"),
    "as_recorded": ("could not be asked, counted as decided", "无法重新判断、按原决策计入"),
    "before": ("as decided", "原决策"),
    "after": ("what if", "假如"),
    "alerts": ("alerts per 10,000", "每万笔警报数"),
    "alerts_genuine": ("alerts, known genuine", "警报：已知为本人交易"),
    "alerts_unknown": ("alerts, nothing known", "警报：真伪未知"),
    "contacts": ("contacts a day", "每日联络数"),
    "hours": ("agents' hours a day", "每日坐席工时"),
    "held": ("cards limited or held per 10,000", "每万张卡受限或冻结数"),
    "caught": ("known frauds with an alert", "有警报的已知欺诈"),
    "missed": ("known frauds without", "无警报的已知欺诈"),
    "worth": ("their worth, minor units", "金额（最小货币单位）"),
    "genuine": ("customers disturbed, known genuine", "受打扰的客户：已知为本人交易"),
    "unknown": ("customers disturbed, nothing known", "受打扰的客户：真伪未知"),
    "loss": ("expected to go through, minor units", "预计漏过金额（最小货币单位）"),
    "insults": ("genuine transactions disturbed, expected", "预计受打扰的本人交易笔数"),
    "curve": ("Threshold number", "门槛序号"),
    "score": ("score", "分数"),
    "today": ("today", "现值"),
    "best": ("best", "最佳"),
    "cost": ("cost a day", "每日成本"),
    "no_best": ("No place of this threshold leaves so few hours of work: more agents, or another policy.",
                "以现有坐席，此门槛放在哪里工时都不够：请增加坐席，或改用其他策略。"),
    "for_more": ("The cheapest place of all takes {0:.1f} agents.", "成本最低的位置需要 {0:.1f} 名坐席。"),
    "labels": ("known of", "已知真伪的交易"),
    "frauds": ("frauds", "其中欺诈"),
    "as_of": ("as of", "截至"),
    "late": ("Nine of ten known frauds were told of within {0:.0f} days: of the last {0:.0f} days, some are not known yet.",
             "已知欺诈中九成在 {0:.0f} 天内得知：最近 {0:.0f} 天的欺诈尚未全部知晓。"),
    "nothing": ("No fraud is known of these days: what is caught and missed cannot be told.",
                "这些日期没有已知的欺诈：无从判断发现与漏过。"),
    "changed": ("transactions change", "笔交易发生变化"),
    "fraud": ("fraud", "欺诈"),
    "ok": ("genuine", "本人交易"),
    "greatest": ("The greatest of them", "其中金额最大的"),
    "no_reason": ("nothing speaks any more", "不再有任何规则或门槛命中"),
})  # fmt: skip


def tell(found: Answer, language: Language) -> str:
    """All of ``found`` in ``language``."""
    return "\n".join(_lines(found, {name: pair[language == "zh"] for name, pair in _WORDS.items()}))


def tell_curve(found: Curve, best: Suggestion | None, language: Language) -> str:
    """All points of ``found``, today's and the suggested one marked."""
    return "\n".join(_curve_lines(found, best, {name: pair[language == "zh"] for name, pair in _WORDS.items()}))


def _curve_lines(found: Curve, best: Suggestion | None, word: Mapping[str, str]) -> Iterator[str]:
    yield f"{word['curve']} {found.threshold + 1}"
    names = [
        "score",
        "alerts",
        "contacts",
        "hours",
        "held",
        "caught",
        "missed",
        "loss",
        "insults",
        *(["cost"] if best else []),
    ]
    yield "; ".join(word[name] for name in names)
    for number, point in enumerate(found.points):
        side = point.side
        figures = [
            f"{point.score:.6g}", f"{side.alerts_per_10000:.2f}", f"{side.contacts_a_day:.1f}",
            f"{side.agent_hours_a_day:.1f}", f"{side.held_per_10000_cards:.2f}", f"{side.caught.number:,}",
            f"{side.missed.number:,}", f"{side.expected_loss:,}", f"{side.expected_insults:,.0f}",
            *([f"{best.costs[number].whole:,.0f}"] if best else []),
        ]  # fmt: skip
        marks = [word["today"]] if number == found.today else []
        if best is not None and number == best.best:
            marks.append(word["best"])
        yield "  " + " ".join(f"{figure:>12}" for figure in figures) + ("  ← " + ", ".join(marks) if marks else "")
    if best is not None and best.best is None:
        yield word["no_best"]
    if best is not None and best.agents_for_unbounded is not None:
        yield word["for_more"].format(best.agents_for_unbounded)


def _lines(found: Answer, word: Mapping[str, str]) -> Iterator[str]:
    yield f"{word['title']}: {word['policy']} {found.policy or word['own']}" + (
        f", {word['model']} {found.model}" if found.model else ""
    )
    if found.lists:
        yield f"  {word['lists']}: {', '.join(found.lists)}"
    yield f"  {word['days']}: {found.first} – {found.last}; {word['transactions']} {found.transactions:,}, {word['cards']} {found.cards:,}"
    if found.as_recorded:
        yield f"  {word['as_recorded']}: {found.as_recorded:,}"
    yield f"  {word['labels']}: {found.labels:,}, {word['frauds']} {found.frauds.number:,} ({word['as_of']} {found.known_at})"
    if found.label_delay_days is None:
        yield f"  {word['nothing']}"
    elif found.label_delay_days >= 1:
        yield "  " + word["late"].format(found.label_delay_days)
    yield ""
    before, after = found.before, found.after
    yield _row("", word["before"], word["after"])
    for name in before.outcomes:
        yield _row(name, f"{before.outcomes[name]:,}", f"{after.outcomes[name]:,}")
    yield _row(word["alerts"], f"{before.alerts_per_10000:.2f}", f"{after.alerts_per_10000:.2f}")
    for name in ("alerts_genuine", "alerts_unknown"):
        yield _row(word[name], f"{getattr(before, name):,}", f"{getattr(after, name):,}")
    yield _row(word["contacts"], f"{before.contacts_a_day:.1f}", f"{after.contacts_a_day:.1f}")
    yield _row(word["hours"], f"{before.agent_hours_a_day:.1f}", f"{after.agent_hours_a_day:.1f}")
    yield _row(word["held"], f"{before.held_per_10000_cards:.2f}", f"{after.held_per_10000_cards:.2f}")
    for name in ("caught", "missed"):
        mine, theirs = getattr(before, name), getattr(after, name)
        yield _row(word[name], *(_known(found, side.number) for side in (mine, theirs)))
        yield _row("  " + word["worth"], *(_known(found, side.value) for side in (mine, theirs)))
    yield _row(word["genuine"], f"{before.disturbed_genuine:,}", f"{after.disturbed_genuine:,}")
    yield _row(word["unknown"], f"{before.disturbed_unknown:,}", f"{after.disturbed_unknown:,}")
    yield _row(word["loss"], f"{before.expected_loss:,}", f"{after.expected_loss:,}")
    yield _row(word["insults"], f"{before.expected_insults:,.0f}", f"{after.expected_insults:,.0f}")
    yield ""
    yield f"{found.changed:,} {word['changed']}"
    for move in found.moves:
        yield f"  {move.before} → {move.after}: {move.number:,} ({word['fraud']} {move.frauds:,}, {word['ok']} {move.genuine:,})"
    if found.changes:
        yield word["greatest"]
    for change in found.changes:
        said = "" if change.fraud is None else f"  [{word['fraud'] if change.fraud else word['ok']}]"
        why = ", ".join(change.reasons) or word["no_reason"]
        yield f"  {change.transaction}  {change.time}  {change.value:,}  {change.before} → {change.after}: {why}{said}"


def _known(found: Answer, value: int) -> str:
    return f"{value:,}" if found.frauds != Known(0, 0) else "?"


def _row(name: str, before: str, after: str) -> str:
    wide = sum(1 + (ord(letter) > 0x2E7F) for letter in name)  # Chinese characters take two places
    return f"  {name}{' ' * max(0, 38 - wide)} {before:>16} {after:>16}"
