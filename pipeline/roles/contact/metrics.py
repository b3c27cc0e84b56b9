"""What Prometheus sees of the contact role. Every series is there, at zero, from the start."""

from collections.abc import Callable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.core.contact_policy import CLASSES
from pipeline.core.conversation import CALL_CLASS, CHANNELS
from pipeline.histogram import LATENCY_BUCKETS_S, BatchHistogram

RESULTS = (
    "accepted", "busy", "no_answer", "failed", "lost", "hung_up", "voicemail", "wrong_key", "refused", "rejected",
    "unknown", "completed", "escalated", "cancelled", "expired", "other",
)  # fmt: skip
"""The first two lines are of attempts (a failed one by its reason), the others of conversations."""
OUTCOMES = ("accepted", "completed", "escalated", "cancelled", "expired")
"""Shown at zero for every class; the others only for questions about payments."""
DEFERRALS = (
    "outside_hours", "holiday", "breathing_space", "event_cap", "day_cap", "week_cap", "period_cap", "history_full",
    "after_conversation", "fraud_first", "another_first", "unknown_customer", "better_hour",
    "pending", "posting", "already_paid", "hardship", "accounts_lag", "accounts_unread", "no_account", "other",
)  # fmt: skip
REFUSALS = (
    "repeated_alert", "repeated_request", "repeated_answer", "stale_attempt", "unknown_attempt", "unknown_contact", "other",
)  # fmt: skip
DEAD_LETTER_REASONS = (
    "not_a_decision", "not_a_request", "not_an_answer", "not_a_customer", "not_an_event", "not_a_result",
    "no_source_offset",
)  # fmt: skip
CALL_BACKS = ("promised", "kept", "overdue")
"""Each promise is kept, or overdue once."""
WITHHELD = ("circuit_open", "rate_limited")
CIRCUIT: Mapping[str, float] = {"closed": 0.0, "half_open": 0.5, "open": 1.0}
"""A circuit's state as a figure."""
REPAIRS = ("unscheduled", "gone")
ORDERS = ("plan", "changed")
_HOLD_BOUNDS_S = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)


class ContactMetrics:
    """Registered in ``registry``, one per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"cardwatch_{name}", words, labels, registry=registry)

        self.latency = BatchHistogram(
            registry,
            "cardwatch_contact_latency_seconds",
            "From the transaction's Kafka timestamp to its first contact attempt leaving",
            LATENCY_BUCKETS_S,
            "class",
            CLASSES,
        )
        self.open = Gauge(
            "cardwatch_open_contacts",
            "Conversations open in the store, the same on every worker",
            ["class"],
            registry=registry,
        )
        for class_ in CLASSES:
            self.open.labels(class_).set(0)
        self.contacts = counter("contacts", "Attempts and conversations by result", ("class", "channel", "result"))
        for class_, result in [*((CALL_CLASS, each) for each in RESULTS), *product(CLASSES, OUTCOMES)]:
            for channel in CHANNELS:
                self.contacts.labels(class_, channel, result)
        self.deferred = counter(
            "contacts_deferred", "Attempts put off, by the gate that was closed", ("class", "reason")
        )
        for class_, reason in product(CLASSES, DEFERRALS):
            self.deferred.labels(class_, reason)
        self.first_attempts = counter(
            "contact_first_attempts",
            "First attempts of conversations, by whether the ladder is climbed in the plan's order",
            ("class", "order"),
        )
        for class_, order in product(CLASSES, ORDERS):
            self.first_attempts.labels(class_, order)
        self.hold = BatchHistogram(
            registry, "cardwatch_hold_seconds", "From a card's hold to its release", _HOLD_BOUNDS_S
        )
        self.labels = counter("labels", "Labels published", ("source", "fraud"))
        for fraud in ("true", "false", "withdrawn"):
            self.labels.labels("cardholder", fraud)
        self.call_backs = counter("call_backs", "Calls by people that complaints were promised", ("result",))
        for result in CALL_BACKS:
            self.call_backs.labels(result)
        self.dead_letters = counter("dead_letters", "Messages that could not be used, by reason", ("reason",))
        for reason in DEAD_LETTER_REASONS:
            self.dead_letters.labels(reason)
        self.duplicates = counter("duplicates", "Decisions read again: nothing done")
        self.refused = counter("contact_events_refused", "Reports that changed nothing, by reason", ("reason",))
        for reason in REFUSALS:
            self.refused.labels(reason)
        self.circuit = Gauge(
            "cardwatch_provider_circuit",
            "Whether a channel's provider is left alone: 0 no, 0.5 one order is tried, 1 yes",
            ["channel"],
            registry=registry,
        )
        self.withheld = counter(
            "provider_orders_withheld",
            "Calls and messages that did not go to their provider: its circuit is open, or its rate is used up",
            ("channel", "reason"),
        )
        for channel in CHANNELS:
            self.circuit.labels(channel).set(0)
            for reason in WITHHELD:
                self.withheld.labels(channel, reason)
        self.failures = counter("contact_failures", "Pieces of work that failed and are done again later")
        self.repaired = counter(
            "contacts_repaired", "Open contacts found without a due step, or gone, and put right", ("reason",)
        )
        for reason in REPAIRS:
            self.repaired.labels(reason)
        self.lateness = BatchHistogram(
            registry,
            "cardwatch_contact_lateness_seconds",
            "From the moment a step of a contact was due to its start",
            LATENCY_BUCKETS_S,
        )
        self.lag = Gauge("cardwatch_consumer_lag", "Records not yet handled", ["role", "partition"], registry=registry)

    def result(self, result: str, channel: str, class_: str) -> None:
        self.contacts.labels(class_, channel, result if result in RESULTS else "other").inc()

    def deferral(self, reason: str, class_: str) -> None:
        self.deferred.labels(class_, reason if reason in DEFERRALS else "other").inc()

    def watch_circuit(self, channel: str, state: Callable[[], str]) -> None:
        """Ask for the state of this channel's circuit whenever Prometheus does: it changes with time alone, too."""
        self.circuit.labels(channel).set_function(lambda: CIRCUIT[state()])

    def withhold(self, channel: str, reason: str) -> None:
        self.withheld.labels(channel, reason).inc()

    def first_attempt(self, class_: str, changed: bool) -> None:
        self.first_attempts.labels(class_, ORDERS[changed]).inc()

    def refusal(self, reason: str) -> None:
        self.refused.labels(reason if reason in REFUSALS else "other").inc()
