"""What Prometheus sees of the contact role. Every series is there, at zero, from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.core.conversation import CALL_CLASS, CHANNELS
from pipeline.histogram import LATENCY_BUCKETS_S, BatchHistogram

RESULTS = (
    "accepted", "busy", "no_answer", "failed", "lost", "hung_up", "voicemail", "wrong_key", "refused", "rejected",
    "unknown", "completed", "escalated", "cancelled", "expired", "other",
)  # fmt: skip
"""The first two lines are of attempts (a failed one by its reason), the others of conversations."""
DEFERRALS = (
    "outside_hours", "holiday", "breathing_space", "event_cap", "day_cap", "week_cap", "period_cap", "history_full",
    "after_conversation", "other",
)  # fmt: skip
REFUSALS = ("repeated_alert", "repeated_answer", "stale_attempt", "unknown_attempt", "unknown_contact", "other")
DEAD_LETTER_REASONS = ("not_a_decision", "not_an_answer", "not_a_customer", "not_a_result", "no_source_offset")
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
            (CALL_CLASS,),
        )
        self.open = Gauge(
            "cardwatch_open_contacts",
            "Conversations open in the store, the same on every worker",
            ["class"],
            registry=registry,
        )
        self.open.labels(CALL_CLASS).set(0)
        self.contacts = counter("contacts", "Attempts and conversations by result", ("class", "channel", "result"))
        for result in RESULTS:
            for channel in CHANNELS:
                self.contacts.labels(CALL_CLASS, channel, result)
        self.deferred = counter(
            "contacts_deferred", "Attempts put off, by the gate that was closed", ("class", "reason")
        )
        for reason in DEFERRALS:
            self.deferred.labels(CALL_CLASS, reason)
        self.hold = BatchHistogram(
            registry, "cardwatch_hold_seconds", "From a card's hold to its release", _HOLD_BOUNDS_S
        )
        self.labels = counter("labels", "Labels published", ("source", "fraud"))
        for fraud in ("true", "false"):
            self.labels.labels("cardholder", fraud)
        self.dead_letters = counter("dead_letters", "Messages that could not be used, by reason", ("reason",))
        for reason in DEAD_LETTER_REASONS:
            self.dead_letters.labels(reason)
        self.duplicates = counter("duplicates", "Decisions read again: nothing done")
        self.refused = counter("contact_events_refused", "Reports that changed nothing, by reason", ("reason",))
        for reason in REFUSALS:
            self.refused.labels(reason)
        self.failures = counter("contact_failures", "Pieces of work that failed and are done again later")
        self.lag = Gauge("cardwatch_consumer_lag", "Records not yet handled", ["role", "partition"], registry=registry)

    def result(self, result: str, channel: str) -> None:
        self.contacts.labels(CALL_CLASS, channel, result if result in RESULTS else "other").inc()

    def deferral(self, reason: str) -> None:
        self.deferred.labels(CALL_CLASS, reason if reason in DEFERRALS else "other").inc()

    def refusal(self, reason: str) -> None:
        self.refused.labels(reason if reason in REFUSALS else "other").inc()
