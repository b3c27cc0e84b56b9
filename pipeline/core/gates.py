"""May this customer be contacted about this now, and if not, from when?

A contact passes nine gates in this order: class, protections, stop, consent, window, preferred hours, caps, cool-down,
channel. A *way* is a channel of the ladder with the address it leads to; the first way all of whose gates are open is
taken. Where none is, the contact waits for the first moment at which the gates of one way are open *together*, or it
never happens: because a gate refuses, or because that moment comes when the contact has expired.

Everything is computed from values: the policy, the customer's record, the histories of customer and numbers, the time.
Whoever acts on a `Go` notes it in these histories by compare-and-set *before* acting, and asks again if that failed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from pipeline.core.contact_facts import place_of, protections_of, ways_to
from pipeline.core.contact_history import History
from pipeline.core.contact_hours import DAY_MS, SEARCH_DAYS, is_open, next_open, read_preferred_hours
from pipeline.core.contact_limits import caps, cool_down
from pipeline.core.contact_policy import ConsentRule, ContactPolicy, QuietRule
from pipeline.core.records import Customer
from pipeline.core.verdict import Asked, Detail, Go, Never, Said, Scene, Verdict, Wait, Way

MAX_RUNGS = 16
"""Rungs of a ladder that are looked at: other systems write ladders too."""


class _Path(NamedTuple):
    """How a way fares at the gates that open with time. ``now``: what each says now; ``open_ms``: when they are open
    together, None if not before the contact expires; ``late``: the gate waited for last."""

    way: Way
    now: tuple[Said, ...]
    open_ms: int | None
    late: Said | None


def evaluate(
    policy: ContactPolicy,
    asked: Asked,
    customer: Customer,
    customer_history: History,
    numbers: Mapping[str, History],
    now_ms: int,
) -> Verdict:
    """What may be done now. ``numbers``: the histories of the customer's numbers (one that is missing is empty)."""
    rules = policy.classes.get(asked.class_)
    if rules is None:
        refused = Said("class", "refused", "class_not_allowed", details=(Detail("profile", {"profile": policy.name}),))
        return Never("class", refused.reason, None, (refused,))
    scene = Scene(rules, asked, customer, place_of(policy, customer), customer_history, numbers)
    consent, consented = _consent(scene)
    channel, ways = _channel(scene, consented)
    paths = [_path(scene, way, now_ms) for way in ways or (Way("", ""),)]
    best = min(paths, key=lambda path: _preference(scene, path))
    protections, *timed = best.now
    basis = Said("class", "ok", "allowed", rules.basis.source)
    said = (basis, protections, _stop(scene, policy), consent, *timed, channel)
    for answer in said:
        if answer.answer == "refused":
            return Never(answer.gate, answer.reason, answer.source, said)
    if now_ms >= asked.expires_ms:
        return Never("expiry", "expired", None, said)
    if best.open_ms is None:
        assert best.late is not None
        return Never(best.late.gate, f"expired by {best.late.gate}", best.late.source, said)
    if best.open_ms > now_ms:
        closed = next(answer for answer in said if answer.answer == "until")
        return Wait(best.open_ms, closed.gate, closed.reason, closed.source, said)
    rule = rules.channel(best.way.channel)
    assert rule is not None
    taken = channel._replace(source=rule.source, reason=best.way.channel)
    return Go(best.way.channel, best.way.to, rule.sender, (*said[:-1], taken))


def _preference(scene: Scene, path: _Path) -> tuple[float, int]:
    """Ways open earlier come first, then the ladder's order (that of `min`); of those that are open only because they
    disturb little, the least disturbing."""
    least_first = [str(channel) for rule in scene.rules.quiet for channel in rule.channels]
    quiet = path.now[1].reason == "quiet"
    intrusion = 1 + least_first.index(path.way.channel) if quiet else 0
    return (float("inf") if path.open_ms is None else path.open_ms, intrusion)


def _path(scene: Scene, way: Way, now_ms: int) -> _Path:
    """Goes from opening to opening until no gate is closed. Each step is forward: a closed gate opens later than the
    moment it is asked about."""
    now = tuple(gate(scene, way, now_ms) for gate in TIME_GATES)
    end_ms = min(scene.asked.expires_ms, now_ms + SEARCH_DAYS * DAY_MS)
    moment_ms, late = now_ms, None
    answers: Iterable[Said] = now
    while closed := next((answer for answer in answers if answer.answer != "ok"), None):
        late = closed
        if closed.until_ms is None or closed.until_ms >= end_ms:
            return _Path(way, now, None, late)
        assert closed.until_ms > moment_ms
        moment_ms = closed.until_ms
        answers = [gate(scene, way, moment_ms) for gate in TIME_GATES]
    return _Path(way, now, moment_ms, late)


def _protections(scene: Scene, way: Way, moment_ms: int) -> Said:
    said = Said("protections", "ok", "none", next((rule.source for rule in scene.rules.protections), None))
    for name, until_ms in protections_of(scene.customer):
        rule = next((rule for rule in scene.rules.protections if name in rule.names), None)
        if rule and until_ms is None:
            return Said("protections", "refused", name, rule.source)
        if rule and until_ms is not None and until_ms > max(moment_ms, said.until_ms or 0):
            said = Said("protections", "until", name, rule.source, until_ms)
    return said


def _stop(scene: Scene, policy: ContactPolicy) -> Said:
    class_ = scene.asked.class_
    for given in scene.customer.stop:
        rule = policy.stopped_by(class_, given)
        if rule or given == class_:
            to = Detail("stop", {"class": given})
            return Said("stop", "refused", "stopped", rule.source if rule else None, details=(to,))
    return Said("stop", "ok", "none", next((rule.source for rule in policy.stops if class_ in rule.stops), None))


def _consent(scene: Scene) -> tuple[Said, frozenset[str]]:
    """Refuses where no channel of the ladder that the class may use has the consent it needs."""
    channels = [channel for channel in _channels(scene.asked) if scene.rules.channel(channel)]
    lacking: dict[str, ConsentRule] = {}
    for rule in scene.rules.consents:
        given = scene.customer.consent.get(rule.needs)
        if not (given is True or (given is None and rule.basis == "not_refused")):
            lacking |= {channel: rule for channel in channels if channel in rule.channels and channel not in lacking}
    details = tuple(Detail("needs", {"channel": channel, "consent": rule.needs}) for channel, rule in lacking.items())
    if channels and len(lacking) == len(channels):
        return Said("consent", "refused", "no_consent", lacking[channels[0]].source, details=details), frozenset()
    asked = [rule.source for rule in scene.rules.consents]
    reason = "given" if asked else "not_needed"
    source = next(iter(asked), None)
    return Said("consent", "ok", reason, source, details=details), frozenset(channels).difference(lacking)


def _window(scene: Scene, way: Way, moment_ms: int) -> Said:
    rules = scene.rules.windows_of(way.channel)
    if not rules:
        return Said("window", "ok", "no_channel")
    open_now = next((rule for rule in rules if is_open([rule.hours], scene.place, moment_ms)), None)
    zones = {} if len(scene.place.zones) == 1 else {"zones": len(scene.place.zones)}
    if open_now:
        hours_now = f"{open_now.start}–{open_now.end}"
        seen = Detail("window", {"channel": way.channel, "hours": hours_now, **zones})
        return Said("window", "ok", "open", open_now.source, details=(seen,))
    hours = [rule.hours for rule in rules]
    until_ms = next_open(hours, scene.place, moment_ms)
    if until_ms == moment_ms:  # one window is open in one zone, another in the others
        return Said("window", "ok", "open", rules[0].source)
    if quiet := _quiet(scene, way.channel):
        return Said("window", "ok", "quiet", quiet.source, details=(Detail("channel", {"channel": way.channel}),))
    any_day = [each._replace(on_holidays=True) for each in hours]
    reason = "holiday" if is_open(any_day, scene.place, moment_ms) else "outside_hours"
    all_hours = ", ".join(f"{rule.start}–{rule.end}" for rule in rules)
    seen = Detail("window", {"channel": way.channel, "hours": all_hours, **zones})
    return Said("window", _later(until_ms), reason, rules[0].source, until_ms, (seen,))


def _quiet(scene: Scene, channel: str) -> QuietRule | None:
    """The rule by which this channel may be used outside the class's windows."""
    for rule in scene.rules.quiet:
        if channel in rule.channels and (rule.consent is None or scene.customer.consent.get(rule.consent) is True):
            return rule
    return None


def _preferred_hours(scene: Scene, way: Way, moment_ms: int) -> Said:
    if not scene.rules.preferred_hours:
        return Said("preferred_hours", "ok", "not_asked")
    source = scene.rules.preferred_hours[0].source
    hours = read_preferred_hours(scene.customer.preferred_hours)
    if not hours:
        return Said("preferred_hours", "ok", "unreadable" if hours is None else "none", source)
    until_ms = next_open(hours, scene.place, moment_ms)
    if until_ms == moment_ms:
        return Said("preferred_hours", "ok", "open", source)
    return Said("preferred_hours", _later(until_ms), "outside_hours", source, until_ms)


def _channel(scene: Scene, consented: frozenset[str]) -> tuple[Said, list[Way]]:
    """The ways of the ladder, in its order, that the class may use, with consent, and that lead somewhere."""
    ways: dict[Way, None] = {}
    dropped: dict[str, str] = {}
    for rung in scene.asked.ladder[:MAX_RUNGS]:
        channel = rung.partition(":")[0]
        found = [Way(channel, to) for to in ways_to(scene.customer, rung)]
        if scene.rules.channel(channel) is None:
            dropped[rung] = "channel_not_allowed"
        elif channel not in consented:
            dropped[rung] = "no_consent"
        elif not found:
            dropped[rung] = "no_address"
        else:
            ways |= dict.fromkeys(found)
    details = tuple(_rung(rung, why) for rung, why in dropped.items())
    if ways:
        return Said("channel", "ok", "reachable", details=details), list(ways)
    reasons = list(dropped.values())
    reason = "no_address" if "no_address" in reasons else next(iter(reasons), "no_channel")
    return Said("channel", "refused", reason, details=details), []


def _rung(rung: str, why: str) -> Detail:
    """A rung of the ladder that leads nowhere."""
    channel, _, kind = rung.partition(":")
    return Detail("rung", {"channel": channel, **({"kind": kind} if kind else {}), "why": why})


def _channels(asked: Asked) -> list[str]:
    return list(dict.fromkeys(rung.partition(":")[0] for rung in asked.ladder[:MAX_RUNGS]))


def _later(until_ms: int | None) -> Literal["until", "refused"]:
    return "refused" if until_ms is None else "until"


TIME_GATES: tuple[Callable[[Scene, Way, int], Said], ...] = (
    _protections, _window, _preferred_hours, caps, cool_down
)  # fmt: skip
"""The gates that may open with time, in their order."""
