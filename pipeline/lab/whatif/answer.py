"""What comes out of trying a policy or a model on past decisions."""

from typing import Final

import msgspec


class Known(msgspec.Struct, frozen=True):
    """Transactions of a kind of label, in number and worth (minor units of the bank's currency)."""

    number: int
    value: int


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What work people have: minutes for a case of the queue and for a call, and the share of verifications (0–1) that
    the automatic channels leave to an agent."""

    review_minutes: float = 5.0
    call_minutes: float = 6.0
    agent_share: float = 0.2


USUAL: Final = Effort()


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How it was, or would have been. ``alerts``: any outcome but approve, ``alerts_genuine`` and ``alerts_unknown`` those
    known to be genuine and those of which nothing is known; ``reviews``: put into the queue; ``contacts``: notify or verify;
    ``agent_hours_a_day``: by `Effort`; ``held``: distinct cards limited or held. ``caught`` and ``missed``: of known frauds
    those with and without an alert. ``disturbed_genuine``: distinct customers with a verify, hold or decline on a
    transaction known to be genuine; ``disturbed_unknown``: on one of which nothing is known (a customer may be both).
    ``expected_loss``: minor units, what went through without an alert: of known frauds their worth, of unknown ones score ×
    worth; ``expected_insults``: transactions with a verify, hold or decline that are genuine: known ones, and of unknown
    ones 1 − score."""

    outcomes: dict[str, int]
    alerts: int
    alerts_per_10000: float
    alerts_genuine: int
    alerts_unknown: int
    reviews: int
    contacts: int
    contacts_a_day: float
    agent_hours_a_day: float
    held: int
    held_per_10000_cards: float
    caught: Known
    missed: Known
    disturbed_genuine: int
    disturbed_unknown: int
    expected_loss: int
    expected_insults: float


class Move(msgspec.Struct, frozen=True):
    """Transactions whose outcome changes, from which to which; equal ones: their actions change. Of the others than
    ``frauds`` and ``genuine`` nothing is known."""

    before: str
    after: str
    number: int
    frauds: int
    genuine: int


class Change(msgspec.Struct, frozen=True):
    """One of them. ``value``: minor units of the bank's currency; ``reasons``: codes of the thresholds and rules that
    speak now, none where nothing does; ``fraud`` None: unknown."""

    transaction: str
    card: str
    time: str
    value: int
    before: str
    after: str
    reasons: list[str]
    fraud: bool | None


class Point(msgspec.Struct, frozen=True):
    """What would have been with the threshold at ``score``, all else as in the policy."""

    score: float
    side: Side


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The trade-off of one threshold, number ``threshold`` of the policy (from 0, the lowest): ``points`` from the highest
    score down, between the policy's next thresholds and no lower than the `MOST_ALERTED` highest scores; ``today``: the
    place of the policy's own among them."""

    threshold: int
    days: int
    points: list[Point]
    today: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``lists``: the bank's lists that the policy asks, as they are now. ``first`` to ``last``: days of arrival
    that were looked at, UTC; ``as_recorded``: scored transactions that could not be asked (other features, or no longer
    whole) and count as they were decided; ``labels``: transactions of which something is known, as of ``known_at``;
    ``label_delay_days``: within so many days nine of ten known frauds were told of, so of the last that many days less is
    known than there is; None without frauds. Of ``changed`` transactions the ``changes`` of greatest worth, of equal worth
    those that came first by partition and offset."""

    policy: str | None
    lists: list[str]
    model: str | None
    first: str
    last: str
    days: int
    transactions: int
    cards: int
    as_recorded: int
    known_at: str
    labels: int
    frauds: Known
    label_delay_days: float | None
    before: Side
    after: Side
    changed: int
    moves: list[Move]
    changes: list[Change]
