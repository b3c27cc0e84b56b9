"""What comes out of trying a policy or a model on past decisions."""

import msgspec


class Known(msgspec.Struct, frozen=True):
    """Transactions of a kind of label, in number and worth (minor units of the bank's currency)."""

    number: int
    value: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How it was, or would have been. ``alerts``: any outcome but approve; ``contacts``: notify or verify; ``held``:
    distinct cards limited or held. ``caught`` and ``missed``: of known frauds those with and without an alert.
    ``disturbed_genuine``: distinct customers with a verify, hold or decline on a transaction known to be genuine;
    ``disturbed_unknown``: on one of which nothing is known (a customer may be both)."""

    outcomes: dict[str, int]
    alerts: int
    alerts_per_10000: float
    contacts: int
    contacts_a_day: float
    held: int
    held_per_10000_cards: float
    caught: Known
    missed: Known
    disturbed_genuine: int
    disturbed_unknown: int


class Move(msgspec.Struct, frozen=True):
    """Transactions whose outcome changes, from which to which; equal ones: their actions change."""

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


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``lists``: the bank's lists that the policy asks, as they are now. ``first`` to ``last``: days of arrival that were looked at, UTC; ``as_recorded``: scored transactions
    that could not be asked (other features, or no longer whole) and count as they were decided; ``labels``: transactions
    of which something is known, as of ``known_at``; ``label_delay_days``: within so many days nine of ten known frauds
    were told of, so of the last that many days less is known than there is; None without frauds."""

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
