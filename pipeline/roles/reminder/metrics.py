"""What Prometheus sees of the reminder role. Every series is there, at zero, from the start."""

from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.histogram import LATENCY_BUCKETS_S, BatchHistogram

STAGES = ("before", "due", "grace", "m1", "m2", "m3", "m3+")
"""Of accounts with something owed or coming due."""
CLASSES = ("reminder", "collection")
TEMPLATES = (
    "transaction_done", "transaction_failed", "balance_changed", "statement_ready", "limit_changed", "card_ending"
)  # fmt: skip
SKIPPED = ("missed", "too_late", "promise", "other")
WITHDRAWN = ("paid", "closed", "disputed", "autopay", "superseded", "promise", "other")
PROMISES = ("open", "kept", "broken")
LATER = ("capacity", "hours")
EVENT_RESULTS = ("taken", "known")
DEAD_LETTER_REASONS = ("not_an_account_event", "not_a_contact_step")
ALERTS = ("returned_payment", "bust_out")
FOLLOWED = ("told", "answered", "nothing")
_PLAN_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)


class ReminderMetrics:
    """Registered in ``registry``, one per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"cardwatch_{name}", words, labels, registry=registry)

        self.events = counter("account_events", "Records of accounts: taken in, or known already", ("result",))
        for result in EVENT_RESULTS:
            self.events.labels(result)
        self.accounts = Gauge(
            "cardwatch_reminder_accounts",
            "Open accounts of this worker's partitions by stage, as the last plan found them",
            ["stage"],
            registry=registry,
        )
        for stage in STAGES:
            self.accounts.labels(stage).set(0)
        self.requests = counter("reminder_requests", "Reminders asked for", ("class", "stage"))
        for class_, stage in product(CLASSES, STAGES):
            self.requests.labels(class_, stage)
        self.skipped = counter(
            "reminders_skipped", "Stages left out, by why; the plan's own reasons are other", ("reason",)
        )
        for reason in SKIPPED:
            self.skipped.labels(reason)
        self.withdrawn = counter(
            "reminders_withdrawn", "Reminders asked for that need not be told any more", ("reason",)
        )
        for reason in WITHDRAWN:
            self.withdrawn.labels(reason)
        self.thanks = counter("reminder_thanks", "Thanks asked for after a payment that followed a reminder")
        self.notices = counter("notices", "Notices asked for, of what customers want to be told", ("template",))
        for template in TEMPLATES:
            self.notices.labels(template)
        self.promises = counter("reminder_promises", "Promises to pay that came into this state", ("state",))
        for state in PROMISES:
            self.promises.labels(state)
        self.followed = counter("reminder_contacts", "Steps of contacts about bills, by what came of them", ("result",))
        for result in FOLLOWED:
            self.followed.labels(result)
        self.alerts = counter(
            "account_alerts", "Accounts that the risk team should look at, by what they show", ("kind",)
        )
        for kind in ALERTS:
            self.alerts.labels(kind)
        self.plan = BatchHistogram(registry, "cardwatch_reminder_plan_seconds", "A day's plan, whole", _PLAN_BOUNDS_S)
        self.planned = counter("reminders_planned", "Accounts that a day's plan looked at")
        self.later = counter("reminders_spread", "Reminders that a day's plan put off, by why", ("reason",))
        for reason in LATER:
            self.later.labels(reason)
        self.lateness = BatchHistogram(
            registry,
            "cardwatch_reminder_due_late_seconds",
            "From the moment a reminder was due to its request being published",
            LATENCY_BUCKETS_S,
        )
        self.stopped = BatchHistogram(
            registry,
            "cardwatch_reminder_stop_seconds",
            "From the Kafka timestamp of an account's event to what it withdraws being published",
            LATENCY_BUCKETS_S,
        )
        self.taken_in = Gauge(
            "cardwatch_reminder_taken_in_age_seconds",
            "How old the newest moment is up to which a partition of accounts is known to be taken in",
            ["partition"],
            registry=registry,
        )
        self.dead_letters = counter("dead_letters", "Messages that could not be used, by reason", ("reason",))
        for reason in DEAD_LETTER_REASONS:
            self.dead_letters.labels(reason)
        self.failures = counter("reminder_failures", "Pieces of work that failed and are done again later")
        self.lag = Gauge("cardwatch_consumer_lag", "Records not yet handled", ["role", "partition"], registry=registry)

    def skip(self, reason: str) -> None:
        self.skipped.labels(reason if reason in SKIPPED else "other").inc()

    def notice(self, template: str) -> None:
        """One notice was asked for."""
        self.notices.labels(template).inc()

    def withdraw(self, reason: str) -> None:
        self.withdrawn.labels(reason if reason in WITHDRAWN else "other").inc()
