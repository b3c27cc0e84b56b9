"""In which order does a conversation climb the ladder?

Policy first: only rungs the bank has marked (``learn = true``) may change places, and only among themselves; all others
stay where the plan has them. Of those marked, the channel the customer chose comes first, then the way that reached
this customer last, then the ways by what reaches customers like this one, and the plan's order where nothing is known.
What reached a customer last is where their kind begins: it is counted apart how those are reached whom that way reached
last, so that where it says little about the next time another way may still overtake it. (Simulated, a rule that always
begins with it loses six of a hundred first attempts where the plan was right already.)
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.core.contact_facts import ways_to
from pipeline.core.contact_history import NOTHING, Entry, History
from pipeline.core.contact_hours import Place
from pipeline.core.plan import Rung
from pipeline.core.reach import Tally
from pipeline.core.records import Customer

Why = Literal["plan", "preferred", "reached_last", "learned"]
CALLED: Mapping[str, str] = {"app": "push", "phone": "voice", "text": "sms"}
"""Other names for channels in customers' records."""


class Person(NamedTuple):
    """A customer, where they may be, and what reached them and their numbers (by number) lately."""

    customer: Customer
    place: Place
    history: History
    numbers: Mapping[str, History]


class Placing(NamedTuple):
    """A rung of the plan's ladder in its place: ``number`` counts from 0; ``why`` it comes here; ``tally``: what is
    known about its way, where that was asked."""

    number: int
    way: str
    why: Why
    tally: Tally | None = None


class Climb(NamedTuple):
    """``placings`` in the order of climbing. ``cohort``: under whom the first attempt counts."""

    placings: tuple[Placing, ...]
    cohort: str = ""

    @property
    def order(self) -> tuple[int, ...]:
        """The rungs' numbers; empty where the order is the plan's own."""
        numbers = tuple(placing.number for placing in self.placings)
        return () if numbers == tuple(range(len(numbers))) else numbers

    def told(self) -> tuple[str, ...]:
        """For the record, where the order is not the plan's own: each way, and why it comes here."""
        return tuple(f"{placing.way}: {placing.why}" for placing in self.placings) if self.order else ()


def marked(ladder: Sequence[Rung]) -> tuple[int, ...]:
    """The numbers of the rungs that may change places; none where only one may."""
    numbers = tuple(number for number, rung in enumerate(ladder) if rung.learn)
    return numbers if len(numbers) > 1 else ()


def placed(
    ladder: Sequence[Rung],
    person: Person,
    last: int | None,
    ranks: Mapping[str, int],
    tallies: Mapping[str, Tally],
) -> tuple[Placing, ...]:
    """``last``: the rung that reached this customer last; ``ranks``: way → its rank for this customer among customers
    alike, empty where nothing is known yet; ``tallies``: what is known of the ways."""
    movable = marked(ladder)
    if not movable:
        return tuple(Placing(number, rung.way, "plan") for number, rung in enumerate(ladder))
    wish = person.customer.preferred_channel or ""
    preferred = [number for number in movable if ladder[number].channel == CALLED.get(wish, wish)]

    def first(number: int) -> tuple[bool, bool, int, int]:
        return number not in preferred, not ranks and number != last, ranks.get(ladder[number].way, 0), number

    ordered = sorted(movable, key=first)
    foremost = next((number for number in ordered if number not in preferred), None)

    def why(number: int) -> Why:
        if number in preferred:
            return "preferred"
        if number == last == foremost:
            return "reached_last"
        return "learned" if ladder[number].way in ranks else "plan"

    moved = dict(zip(movable, ordered, strict=True))
    return tuple(
        Placing(now, ladder[now].way, why(now) if number in moved else "plan", tallies.get(ladder[now].way))
        for number in range(len(ladder))
        for now in [moved.get(number, number)]
    )


def reached_last(ladder: Sequence[Rung], person: Person) -> int | None:
    """The rung, of those that may change places, by whose way this customer was last reached, as far as is
    remembered."""
    movable = marked(ladder)
    if not movable:
        return None
    for entry in reversed(person.history.entries):
        if entry.kind == "effective":
            for number in movable:
                if ladder[number].channel == entry.channel and _led_there(ladder[number], entry, person):
                    return number
    return None


def _led_there(rung: Rung, entry: Entry, person: Person) -> bool:
    """Whether it was an address of this rung: what reached a number is noted with the number too."""
    addresses = list(ways_to(person.customer, rung.way))
    if rung.channel not in ("voice", "sms"):
        return bool(addresses)
    return any(entry in person.numbers.get(number, NOTHING).entries for number in addresses)
