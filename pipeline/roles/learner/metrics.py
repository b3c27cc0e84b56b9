"""What Prometheus sees of the learner. Every series is there, at zero, from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge

NO_MODEL = "none"
SKIP_REASONS = ("repeat", "sampled_out", "layout", "unreadable")


class LearnerMetrics:
    """Registered in ``registry``, one per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.model_info = Gauge(
            "cardwatch_model_info", "1 for the newest model published or resumed.", ["version"], registry=registry
        )
        self.model_info.labels(NO_MODEL).set(1)
        self.model_age = Gauge(
            "cardwatch_model_age_seconds", "Since the newest model was made; 0 before the first.", registry=registry
        )
        self.consumer_lag = Gauge(
            "cardwatch_consumer_lag", "Records not read yet.", ["role", "partition"], registry=registry
        )
        self.learned = Counter("cardwatch_learned_total", "Transactions learned.", registry=registry)
        self.skipped = Counter(
            "cardwatch_learner_skipped_total",
            "Rows not learned, by reason; an unreadable record counts as one.",
            ["reason"],
            registry=registry,
        )
        for reason in SKIP_REASONS:
            self.skipped.labels(reason)
        self.snapshots = Counter(
            "cardwatch_snapshots_total", "Model snapshots published, repeats not counted.", registry=registry
        )
        self.leading = Gauge(
            "cardwatch_learner_leading", "1 while this process holds the learner's lease.", registry=registry
        )
        self.failures = Counter(
            "cardwatch_learner_failures_total",
            "Times the learner let go of everything and began again.",
            registry=registry,
        )

    def standby(self) -> None:
        """This process no longer leads: what it said of the model and the log is no longer its to say."""
        self.leading.set(0)
        self.model_age.set(0)
        self.consumer_lag.clear()
        self.model(NO_MODEL)

    def model(self, version: str) -> None:
        """``version`` is the newest model now."""
        self.model_info.clear()
        self.model_info.labels(version).set(1)
