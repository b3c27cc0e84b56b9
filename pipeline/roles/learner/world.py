"""What the learner works on, and how often it does what."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.ports import Clock, Lease, Log, Reader
from pipeline.ports_archive import Past


class World(NamedTuple):
    """The ports the learner works on. ``open_…`` make a fresh reader each time."""

    open_scored: Callable[[], Reader]
    open_control: Callable[[], Reader]
    log: Log
    lease: Lease
    clock: Clock
    open_labels: Callable[[], Reader]
    past: Past | None = None
    """Rows that have left the learner's memory; None: labels of theirs are not learned."""
    open_customer_events: Callable[[], Reader] | None = None
    """None: nobody follows them."""


class Pace(NamedTuple):
    """How often, in seconds. A lease is renewed at a third of its time; retries double from the first to the last."""

    snapshot_s: float = 30.0
    repeat_s: float = 60.0
    lease_s: float = 15.0
    poll_s: float = 0.5
    lag_s: float = 5.0
    first_retry_s: float = 0.5
    last_retry_s: float = 30.0
    control_silence_s: float = 30.0
    """``control`` not read to its end for so long: begin again rather than learn without what it holds."""
    labels_s: float = 0.2
    """How often to look for labels; what they change in the table is told at once."""
    orders_s: float = 1.0
    """How often to look for orders about the model."""
    tell_s: float = 0.8
    """How often what changed of merchants and customers is told: scorers know it within a second."""
