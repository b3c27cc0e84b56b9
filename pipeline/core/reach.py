"""How often does each way reach customers of one kind? What is counted, under whom, and how it fades.

Counted is the first attempt of a conversation, unless the customer chose its way: a second attempt meets those whom the
first did not reach. Whom one way reached last is counted apart: how that way reaches them says nothing about others.
"""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pipeline.core.contact_hours import DAY_MS, Place, local_hour
from pipeline.core.conversation import Answered, Conversation, Ended, Event, Silent
from pipeline.core.records import Customer

BLOCK_HOURS = 6
"""A day has four blocks: night, morning, afternoon, evening."""
BLOCKS = 24 // BLOCK_HOURS
PERIOD_MS = 30 * DAY_MS
"""What was counted in one period counts half as much in the next."""
PERIODS = 6
"""Older ones, which would count less than a fiftieth, are forgotten."""
POOL_WORTH = 30
"""What is known of more customers weighs at most as much as so many of one kind."""
SPOKEN = frozenset({"hung_up", "wrong_key"})
"""Ends of a call at which somebody had picked up."""
_COUNTRY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?![A-Za-z])")


class Tally(NamedTuple):
    """``reached``: of so many tried. Whole numbers as counted; fractions once they fade."""

    reached: float = 0
    tried: float = 0

    def plus(self, other: "Tally") -> "Tally":
        return Tally(self.reached + other.reached, self.tried + other.tried)


class Arm(NamedTuple):
    """What is counted apart: customers alike, and a way to them (``voice``, ``voice:home``)."""

    cohort: str
    way: str


def cohort_of(
    class_: str, customer: Customer, place: Place, moment_ms: int, last: str = "", block: int | None = None
) -> str:
    """Class, country, language, block of hours by the customer's clock (``block``: that one) and the way that reached
    them ``last``: customers alike. A country or language that is not written as one is empty; so is the block where
    zones that are possible disagree."""
    country = customer.country if customer.country and _COUNTRY.fullmatch(customer.country) else ""
    language = _LANGUAGE.match(customer.language)
    at = block_of(place, moment_ms) if block is None else block
    return f"{class_}/{country}/{language[0].lower() if language else ''}/{'' if at is None else at}/{last}"


def pools_of(cohort: str) -> tuple[str, ...]:
    """What else an outcome counts under, and a kind of customer hardly ever met begins from: the same whatever reached
    them last, and all of their class whom the same way reached last."""
    alike, _, last = cohort.rpartition("/")
    return f"{alike}/*", f"{cohort.partition('/')[0]}/*/{last}"


def with_pools(own: Tally, pools: Iterable[Tally]) -> Tally:
    """What is known of a way to customers of one kind, helped by what is known of it to more of them."""
    found = own
    for pool in pools:
        weight = min(1.0, POOL_WORTH / pool.tried) if pool.tried else 0.0
        found = found.plus(Tally(weight * pool.reached, weight * pool.tried))
    return found


def block_of(place: Place, moment_ms: int) -> int | None:
    """0, the night, to 3, the evening; None where the customer's zone leaves it open."""
    blocks = {local_hour(moment_ms, zone) // BLOCK_HOURS for zone in place.zones}
    return blocks.pop() if len(blocks) == 1 else None


def outcome(conversation: Conversation, event: Event) -> bool | None:
    """Whether ``event`` says that the present attempt has reached somebody in its time; None if it says neither, or
    nothing is counted."""
    if not conversation.cohort or conversation.state not in ("sending", "unknown", "ringing"):
        return None
    match event:
        case Answered(attempt=attempt) if attempt == conversation.attempt:
            return True
        case Ended(attempt=attempt, reason=reason) if attempt == conversation.attempt:
            return reason in SPOKEN
        case Silent(attempt=attempt) if attempt == conversation.attempt:
            return False
    return None  # a provider that refuses says nothing about the customer


def came_to(event: Answered | Ended, channel: str) -> Literal["effective", "missed"] | None:
    """What the end of an attempt is remembered as: somebody was spoken to, or nobody took the call. None: that a message
    ended without an answer says nothing."""
    if isinstance(event, Answered) or event.reason in SPOKEN:
        return "effective"
    return "missed" if channel == "voice" else None


def period_of(moment_ms: int) -> int:
    return moment_ms // PERIOD_MS


def faded(tallies: Iterable[Tally]) -> Tally:
    """What is known today. ``tallies``: of this period, the one before, and so on."""
    found, weight = Tally(), 1.0
    for tally in tallies:
        found = found.plus(Tally(weight * tally.reached, weight * tally.tried))
        weight /= 2
    return found
