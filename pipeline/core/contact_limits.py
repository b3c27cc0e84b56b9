"""Two gates that count what reached the customer: frequency caps, and the cool-down after a conversation.

A cap's day is the customer's calendar day, not the last 24 hours: that is what the rules say, and what a customer who
complains will count. Of an unknown zone, a day is over when it is over in all the zones there may be.
"""

from collections.abc import Iterable

from pipeline.core.contact_history import IN_FLIGHT_MS, KEEP_MS, MAX_ENTRIES, NOTHING, History, in_flight
from pipeline.core.contact_hours import DAY_MS, day_over_ms
from pipeline.core.contact_policy import CapRule
from pipeline.core.verdict import Detail, Said, Scene, Way


def caps(scene: Scene, way: Way, moment_ms: int) -> Said:
    """The cap that opens last; while all are open, the one with the least room left."""
    said = Said("caps", "ok", "none")
    most = -1.0
    for rule in scene.rules.caps:
        if not rule.binds(way.channel):
            continue
        history = scene.history if rule.of == "customer" else scene.numbers.get(way.to, NOTHING)
        leaving = sorted(_leaving(rule, scene, history, moment_ms))
        seen = Detail("cap", {"count": len(leaving), "limit": rule.limit, "days": rule.days, "of": rule.of})
        if len(leaving) >= rule.limit:
            until_ms = leaving[len(leaving) - rule.limit]
            if until_ms > (said.until_ms or 0):
                said = Said("caps", "until", _cap_name(rule), rule.source, until_ms, (seen,))
        elif said.answer == "ok" and len(leaving) / rule.limit > most:
            most = len(leaving) / rule.limit
            said = Said("caps", "ok", "below", rule.source, details=(seen,))
    for history in (scene.history, scene.numbers.get(way.to, NOTHING)):
        if (
            scene.rules.caps
            and len(history.entries) >= MAX_ENTRIES
            and history.entries[0].time_ms + KEEP_MS > moment_ms
        ):
            return Said("caps", "until", "history_full", None, history.entries[0].time_ms + KEEP_MS)
    return said


def _cap_name(rule: CapRule) -> str:
    if rule.per == "event":
        return "event_cap"
    return {1: "day_cap", 7: "week_cap"}.get(rule.days, "period_cap")


def _leaving(rule: CapRule, scene: Scene, history: History, moment_ms: int) -> Iterable[int]:
    """When each entry that the cap counts at that moment leaves its period; a dial whose end is not known counts as a
    conversation while it may be one."""
    entries = [(entry, day_over_ms(scene.place, entry.time_ms, rule.days)) for entry in history.entries
               if entry.kind in rule.counts and entry.time_ms > moment_ms - (rule.days + 2) * DAY_MS]  # fmt: skip
    if "effective" in rule.counts and "dial" not in rule.counts:
        entries += [(dial, dial.time_ms + IN_FLIGHT_MS) for dial in in_flight(history, moment_ms)]
    for entry, leaves_ms in entries:
        counted = entry.class_ in rule.classes and entry.channel in rule.channels
        if counted and leaves_ms > moment_ms and (rule.per == "period" or entry.event == scene.asked.event):
            yield leaves_ms


QUESTION_OUT_MS = 600_000
"""How long an unanswered question about a payment holds back what is less urgent, from its latest attempt on: longer
than ladders wait between two attempts, so that nothing slips in between."""


def question_out_ms(history: History) -> int:
    """Until when the questions about payments that are out hold back everything else; 0: none is out."""
    out: dict[str, int] = {}
    for entry in history.entries:
        if entry.class_ == "fraud":
            out[entry.event] = 0 if entry.kind == "effective" else entry.time_ms + QUESTION_OUT_MS
    return max(out.values(), default=0)


def cool_down(scene: Scene, way: Way, moment_ms: int) -> Said:
    """A dial under way may be the conversation after which nobody calls, so it holds the others back. While a question
    about a payment is out, nothing else is said."""
    out_ms = 0 if scene.asked.class_ == "fraud" else question_out_ms(scene.history)
    if out_ms > moment_ms:
        return Said("cool_down", "until", "fraud_first", None, out_ms)
    if not scene.rules.cool_downs:
        return Said("cool_down", "ok", "not_asked")
    said = Said("cool_down", "ok", "none", scene.rules.cool_downs[0].source)
    for rule in scene.rules.cool_downs:
        talks = [entry.time_ms + rule.hours * 3_600_000 for entry in scene.history.entries
                 if entry.kind == "effective" and entry.class_ in rule.after]  # fmt: skip
        under_way = [dial.time_ms + IN_FLIGHT_MS for dial in in_flight(scene.history, moment_ms)
                     if dial.class_ in rule.after]  # fmt: skip
        until_ms = max([*talks, *under_way], default=0)
        if until_ms > max(moment_ms, said.until_ms or 0):
            seen = Detail("cool_down", {"hours": rule.hours})
            said = Said("cool_down", "until", "after_conversation", rule.source, until_ms, (seen,))
    return said
