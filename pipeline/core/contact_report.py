"""What the gates say about a customer, and what a dossier holds, on paper: lines for people, values for programs."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from pipeline.core.contact_order import Placing
from pipeline.core.decision import Reason
from pipeline.core.dossier import Broken, masked_address
from pipeline.core.masking import mask
from pipeline.core.moments import rfc3339
from pipeline.core.verdict import Go, Said, Verdict, Wait
from pipeline.core.words import Words

COLUMNS = ("gate", "answer", "reason", "opens_local", "opens_utc", "source")


class Explained(NamedTuple):
    """``profile``: the policy's version; ``signed_by``: who answers for it; ``zones``: where the customer may be;
    ``order``: how the ladder is climbed, where rungs may change places."""

    customer: str
    class_: str
    profile: str
    signed_by: str
    at_ms: int
    zones: Sequence[tzinfo]
    verdict: Verdict
    order: Sequence[Placing] = ()


def explained_json(found: Explained) -> dict[str, Any]:
    """The verdict with each gate's answer."""
    verdict = found.verdict
    answer: dict[str, Any] = {
        "customer": found.customer,
        "class": found.class_,
        "profile": found.profile,
        "signed_by": found.signed_by or None,
        "at": rfc3339(found.at_ms / 1000),
        "zones": [str(zone) for zone in found.zones],
        "gates": [_gate(said, found.zones) for said in verdict.said],
        **({"order": [_placing(placing) for placing in found.order]} if found.order else {}),
    }
    if isinstance(verdict, Go):
        return {**answer, "verdict": "go", "channel": verdict.channel, "to": masked_address(verdict.to)}
    answer |= {"gate": verdict.gate, "reason": verdict.reason, "source": verdict.source}
    if isinstance(verdict, Wait):
        return {**answer, "verdict": "wait", **_opening(verdict.until_ms, found.zones)}
    return {**answer, "verdict": "never"}


def explained_lines(found: Explained, words: Words) -> Iterator[str]:
    """A table of the gates, then the verdict."""
    zones = " / ".join(str(zone) for zone in found.zones)
    at = _local(found.at_ms, found.zones)
    yield f"{found.customer} · {found.class_} · {found.profile} · {at} ({zones}) · {_utc(found.at_ms)} UTC"
    if not found.signed_by:
        yield say(words, "unsigned")
    yield ""
    rows = [[say(words, f"column_{name}") for name in COLUMNS]]
    for said in found.verdict.said:
        opens = said.until_ms
        rows.append(
            [
                say(words, f"gate_{said.gate}"),
                say(words, f"answer_{said.answer}"),
                _reason(said, words),
                "" if opens is None else _local(opens, found.zones),
                "" if opens is None else _utc(opens),
                said.source or "",
            ]
        )
    yield from _table(rows)
    if found.order:
        yield ""
        yield f"{say(words, 'order')}: " + ", ".join(_placing_line(placing, words) for placing in found.order)
    yield ""
    yield _verdict(found, words)


def _placing(placing: Placing) -> dict[str, Any]:
    known = placing.tally
    learned = {} if known is None or not known.tried else {"p": round(known.reached / known.tried, 3)}
    tried = {} if known is None else {"of": round(known.tried, 1)}
    return {"way": placing.way, "why": placing.why, **learned, **tried}


def _placing_line(placing: Placing, words: Words) -> str:
    """Where it was counted, with the share that was reached, of how many; those of the past count less."""
    known = placing.tally
    learned = f", p={known.reached / known.tried:.2f} / {known.tried:.0f}" if known and known.tried else ""
    return f"{placing.way} ({say(words, f'why_{placing.why}')}{learned})"


def _verdict(found: Explained, words: Words) -> str:
    verdict = found.verdict
    if isinstance(verdict, Go):
        return f"{say(words, 'verdict_go')}: {say(words, f'reason_{verdict.channel}')}, {masked_address(verdict.to)}"
    reason = verdict.reason.removeprefix("expired by ")
    why = say(words, "reason_expired") if reason != verdict.reason else say(words, f"reason_{reason}")
    told = f"{say(words, f'gate_{verdict.gate}')}: {why}" + (f" ({verdict.source})" if verdict.source else "")
    if isinstance(verdict, Wait):
        until = f"{_local(verdict.until_ms, found.zones)} ({_utc(verdict.until_ms)} UTC)"
        return f"{say(words, 'verdict_wait')} → {until}. {told}"
    return f"{say(words, 'verdict_never')}. {told}"


def say(words: Words, code: str) -> str:
    """The words for ``code``; the code itself where there are none."""
    return words.say(Reason(code))


def _reason(said: Said, words: Words) -> str:
    told = say(words, f"reason_{said.reason}")
    seen = _seen([detail.as_json() for detail in said.details], words)
    return f"{told} ({seen})" if seen else told


def _seen(details: str | Sequence[Mapping[str, Any]], words: Words) -> str:
    """What a gate looked at, in words; as it stands, if an earlier version wrote it in words of its own."""
    if isinstance(details, str):
        return mask(details)
    separator = say(words, "between_details")
    return mask(separator.join(words.say(Reason(f"detail_{each['code']}", _terms(each, words))) for each in details))


def _terms(detail: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """The figures of a detail; codes among them in words, where there are any."""
    return {
        name: words.sentences.get(f"{name}_{value}", value) if isinstance(value, str) else value
        for name, value in detail.items()
    }


def _gate(said: Said, zones: Sequence[tzinfo]) -> dict[str, Any]:
    opening = {} if said.until_ms is None else _opening(said.until_ms, zones)
    return {
        "gate": said.gate,
        "answer": said.answer,
        "reason": said.reason,
        "detail": [
            {name: mask(value) if isinstance(value, str) else value for name, value in detail.as_json().items()}
            for detail in said.details
        ],
        "source": said.source,
        **opening,
    }


def _opening(moment_ms: int, zones: Sequence[tzinfo]) -> dict[str, str]:
    local = {"opens_local": _moment(moment_ms, zones[0]).isoformat()} if len(zones) == 1 else {}
    return {"opens": rfc3339(moment_ms / 1000), **local}


def _moment(moment_ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone(zone)


def _local(moment_ms: int, zones: Sequence[tzinfo]) -> str:
    """By the customer's clock; of several zones, by each that differs."""
    return " / ".join(dict.fromkeys(f"{_moment(moment_ms, zone):%Y-%m-%d %H:%M}" for zone in zones)) or "?"


def _utc(moment_ms: int) -> str:
    return f"{_moment(moment_ms, UTC):%Y-%m-%d %H:%M}"


def dossier_lines(entries: Sequence[Mapping[str, Any] | None], broken: Sequence[Broken], words: Words) -> Iterator[str]:
    """Every entry, then whether the chain holds. Of each gate: what it answered, why, and where that rule is from."""
    for number, entry in enumerate(entries, 1):
        yield from _entry_lines(number, entry or {}, words)
    yield say(words, "chain_broken" if broken else "chain_holds")
    for link in broken:
        yield f"  {say(words, 'entry')} {link.entry}: {say(words, f'broken_{link.why}')}"


def _entry_lines(number: int, entry: Mapping[str, Any], words: Words) -> Iterator[str]:
    event = say(words, f"event_{entry.get('event', '')}") if entry else "?"
    facts = [
        f"{entry[name]}"
        for name in ("word", "attempt", "channel", "assurance", "call", "cannot_call", "reason", "amount", "currency")
        if name in entry
    ]
    yield f"{number}. {entry.get('time', '?')}  {event}" + (f": {', '.join(facts)}" if facts else "")
    for named in (each for name in ("alert", "matter") if isinstance(each := entry.get(name), dict)):
        yield f"    {', '.join(f'{name} {value}' for name, value in named.items())}"
    for name in ("until", "call_back_by"):
        if name in entry:
            yield f"    {say(words, f'fact_{name}')} {entry[name]}"
    if "policy" in entry:
        yield f"    {entry['policy']} · {', '.join(entry.get('zones', ()))}"
    for gate in entry.get("gates", ()):
        yield f"      {_gate_line(gate, words)}"
    if order := entry.get("order"):
        ways = [each.rpartition(": ") for each in order]
        yield f"    {say(words, 'order')}: " + ", ".join(f"{way} ({say(words, f'why_{why}')})" for way, _, why in ways)
    for told in entry.get("told", ()):
        where = f"{say(words, 'reason_' + told['channel'])}, {say(words, 'fact_to')} {told['to']}, {told['language']}"
        yield f"    {where}"
        for name, text in told["text"].items():
            yield f"      {say(words, f'part_{name}')}: {text}"
    for kind, what, *why in entry.get("did", ()):
        reason = f" ({why[0]})" if why and why[0] else ""
        yield f"    → {say(words, f'did_{kind}_{what}')}{reason}"


def _gate_line(gate: Mapping[str, Any], words: Words) -> str:
    told = [say(words, f"gate_{gate['gate']}"), say(words, f"answer_{gate['answer']}")]
    seen = _seen(gate.get("detail", ()), words)
    told.append(say(words, f"reason_{gate['reason']}") + (f" ({seen})" if seen else ""))
    if "until" in gate:
        told.append(gate["until"])
    if "source" in gate:
        told.append(gate["source"])
    return " · ".join(told)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell on a terminal; the last one runs free."""
    widths = [max(_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def _width(text: Iterable[str]) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
