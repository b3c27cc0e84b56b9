"""What `cardwatch compromise` tells: suspected places with their figures, exposed cards, what watching them is worth."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from pipeline.core.exposed_cards import Costs, ExposedCards, Worth, exposed_cards, worth
from pipeline.core.point_of_compromise import BY_CHANCE, LEAST_BAD_CARDS, Suspected, Window, suspected
from pipeline.ports_archive import Place, Visits

Language = Literal["en", "zh"]
SHOWN_CARDS: Final = 10
"""Exposed cards that the words list of each place; JSON has all."""
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Named(NamedTuple):
    """A suspected place; ``cards`` of ``bad_cards`` are the bad ones that had been there."""

    place: Place
    name: str | None
    town: str | None
    suspected: Suspected
    cards: tuple[str, ...]
    exposed: ExposedCards
    worth: Worth


class Report(NamedTuple):
    """``days`` None: the archive knows of no bad card."""

    days: Window | None
    bad_cards: int
    looked_at: int
    places: Sequence[Named]


def report(
    visits: Visits,
    days: int,
    at_ms: int,
    costs: Costs,
    least: int = LEAST_BAD_CARDS,
    by_chance: float = BY_CHANCE,
) -> Report:
    """As known at ``at_ms`` (unix milliseconds), of the ``days`` up to the newest transaction."""
    known = visits.bad_cards(days, at_ms, least)
    if known is None:
        return Report(None, 0, 0, ())
    loss = float(known.loss.mean())
    bad = np.array(known.cards, dtype=np.object_)
    named = []
    for each in suspected(known.looked, least, by_chance):
        place = known.places[each.place]
        there = visits.visitors(place, each.exposed)
        is_bad = np.isin(there["card"].astype(str), bad.astype(str))
        exposed = exposed_cards(each, there["card"], there["visits"], there["last_day"], is_bad, loss)
        cards = tuple(known.cards[number] for number in each.bad)
        named.append(Named(place, *visits.words(place), each, cards, exposed, worth(exposed, costs)))
    return Report(known.days, len(known.cards), known.looked.looked_at, named)


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "nothing": "No card has a fraud label in force: nothing to look for.",
        "looked": "{first} to {last}: {bad} cards went bad; {places} places looked at, {named} suspected.",
        "place": "{number}. {name}{town}, merchant {merchant}{terminal}; {way}",
        "in_person": "cards used there in person",
        "online": "cards used there online",
        "terminal": ", terminal {}",
        "town": ", {}",
        "why": "   {count} bad cards had been there; {expected:.1f} expected. Places that stand out so by chance: {chance:.2g}.",
        "when": "   Seen {first} to {last}; likely to have leaked {from_} to {until}.",
        "exposed": "   {cards} more cards were exposed; {rate:.1%} of those there went bad so far; expected loss {loss:,.2f}.",
        "watch": "   Watching them saves {saves:,.2f} and costs {costs:,.2f}.",
        "reissue": "   Reissuing all saves {saves:,.2f} and costs {costs:,.2f}; for {cards} cards it pays.",
        "card": "   {card}  {visits} days there, last {last}, risk {risk:.1%}, expected loss {loss:,.2f}",
        "more": "   and {} more (--json lists all)",
    },
    "zh": {
        "nothing": "目前没有任何卡带有有效的欺诈标签，无从查找。",
        "looked": "{first} 至 {last}：{bad} 张卡出现欺诈；共排查 {places} 个场所，{named} 个可疑。",
        "place": "{number}. {name}{town}，商户 {merchant}{terminal}；{way}",
        "in_person": "当面用卡",
        "online": "线上用卡",
        "terminal": "，终端 {}",
        "town": "，{}",
        "why": "   {count} 张出事卡此前去过，按常理应为 {expected:.1f} 张。纯属巧合而如此突出的场所预计有 {chance:.2g} 个。",
        "when": "   出事卡在 {first} 至 {last} 去过；很可能在 {from_} 至 {until} 泄露。",
        "exposed": "   另有 {cards} 张卡暴露；去过的卡目前已有 {rate:.1%} 出事；预计损失 {loss:,.2f}。",
        "watch": "   重点监控可挽回 {saves:,.2f}，成本 {costs:,.2f}。",
        "reissue": "   全部换卡可挽回 {saves:,.2f}，成本 {costs:,.2f}；其中 {cards} 张换卡划算。",
        "card": "   {card}  去过 {visits} 天，最近 {last}，风险 {risk:.1%}，预计损失 {loss:,.2f}",
        "more": "   另有 {} 张（--json 列出全部）",
    },
}


def lines(found: Report, language: Language, minor_units: int = 100) -> list[str]:
    """``found`` in words; money in units of the bank's currency, each of ``minor_units``."""
    words = _WORDS[language]
    if found.days is None:
        return [words["nothing"]]
    told = [
        words["looked"].format(
            first=_day(found.days.first), last=_day(found.days.last), bad=found.bad_cards, places=found.looked_at,
            named=len(found.places),
        )
    ]  # fmt: skip
    for number, each in enumerate(found.places, 1):
        told += _about(each, number, words, minor_units)
    return told


def _about(each: Named, number: int, words: Mapping[str, str], units: int) -> list[str]:
    place, why, cards = each.place, each.suspected, each.exposed
    told = [
        words["place"].format(
            number=number,
            name=each.name or place.merchant,
            town=words["town"].format(each.town) if each.town else "",
            merchant=place.merchant,
            terminal=words["terminal"].format(place.terminal) if place.terminal else "",
            way=words[place.way],
        ),
        words["why"].format(count=len(why.bad), expected=why.expected, chance=why.by_chance),
        words["when"].format(
            first=_day(why.seen.first),
            last=_day(why.seen.last),
            from_=_day(why.exposed.first),
            until=_day(why.exposed.last),
        ),
        words["exposed"].format(cards=each.worth.cards, rate=cards.rate, loss=each.worth.expected_loss / units),
        words["watch"].format(saves=each.worth.watching_saves / units, costs=each.worth.watching_costs / units),
        words["reissue"].format(
            saves=each.worth.reissuing_saves / units,
            costs=each.worth.reissuing_costs / units,
            cards=each.worth.worth_reissuing,
        ),
    ]
    for index in range(min(SHOWN_CARDS, len(cards.card))):
        told.append(
            words["card"].format(
                card=cards.card[index],
                visits=int(cards.visits[index]),
                last=_day(int(cards.last_day[index])),
                risk=cards.risk[index],
                loss=cards.loss[index] / units,
            )
        )
    if len(cards.card) > SHOWN_CARDS:
        told.append(words["more"].format(len(cards.card) - SHOWN_CARDS))
    return told


def as_json(found: Report) -> dict[str, Any]:
    """For programs; money in minor units of the bank's currency."""
    return {
        "first_day": None if found.days is None else _day(found.days.first),
        "last_day": None if found.days is None else _day(found.days.last),
        "bad_cards": found.bad_cards,
        "places_looked_at": found.looked_at,
        "places": [
            {
                **each.place._asdict(),
                "name": each.name,
                "town": each.town,
                "bad_cards": list(each.cards),
                "expected": each.suspected.expected,
                "by_chance": each.suspected.by_chance,
                "seen": list(map(_day, each.suspected.seen)),
                "exposed": list(map(_day, each.suspected.exposed)),
                "rate": each.exposed.rate,
                "worth": each.worth._asdict(),
                "cards": [
                    {"card": card, "visits": count, "last_day": _day(last), "risk": risk, "expected_loss": loss}
                    for card, count, last, risk, loss in zip(
                        *(
                            getattr(each.exposed, name).tolist()
                            for name in ("card", "visits", "last_day", "risk", "loss")
                        ),
                        strict=True,
                    )
                ],
            }
            for each in found.places
        ],
    }


def _day(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()
