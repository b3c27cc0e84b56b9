"""What Prometheus sees of the learner. Every series is there, at zero, from the start."""

from collections.abc import Sequence
from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from models.progress import Progress
from pipeline.core.told import Kind

NO_MODEL = "none"
SKIP_REASONS = ("repeat", "sampled_out", "layout", "unreadable", "fraud")
LEARNED_AS = ("genuine", "fraud", "unlabelled")
LATE = ("found", "not_archived", "other_features", "to_come", "failed")
JUDGED = ("classifier", "prior")
SCORES = ("percentile", "score")
NOT_AN_EVENT = "not_an_event"
BANDS = ("alert_factor", "half_share", "drift", "ece", "slope_low", "slope_high")
"""What a version may be withheld for."""


class Standing(NamedTuple):
    """How one of the models does. ``average_precision`` among recent labelled rows, None: too few to tell."""

    name: str
    progress: Progress
    average_precision: float | None


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

        self._labels(registry)

    def _labels(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"cardwatch_{name}", words, labels, registry=registry)

        def gauge(name: str, words: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"cardwatch_{name}", words, labels, registry=registry)

        self.labelled = counter("labelled_total", "Transactions the classifier learned, by what they were.", ("as",))
        self.unlearned = counter("unlearned_total", "Times that something learned of a label was taken back.")
        self.unmatched = counter("labels_unmatched_total", "Labels whose transaction does not wait for one (yet).")
        self.late = counter("labels_late_total", "Rows looked for in the archive for a label, by outcome.", ("result",))
        self.late_waiting = gauge("labels_late_waiting", "Transactions whose row is looked for in the archive.")
        self.bad_labels = counter("labels_unreadable_total", "Records of labels that could not be used.")
        self.waiting_rows = gauge("waiting_rows", "Transactions kept for their label.")
        self.waiting_bytes = gauge("waiting_bytes", "Memory they take.")
        self.table_entities = gauge("table_entities", "Terminals, merchants and cards with confirmed frauds.")
        self.table_parts = counter("table_parts_total", "Parts of the table of entities told, repeats not counted.")
        self.known = gauge(
            "known_entities", "Merchants and customers of which something is known without labels.", ("kind",)
        )
        self.dead_letters = counter("dead_letters", "Messages that could not be used, by reason", ("reason",))
        self.dead_letters.labels(NOT_AN_EVENT)
        self.told_bytes = counter("told_bytes_total", "Bytes told of them to all scorers.", ("kind",))
        self.log_loss = gauge("log_loss", "Recent log loss on labelled transactions.", ("of",))
        self.qualified = gauge("classifier_qualified", "1 while the score is the classifier's probability.")
        self.drift = gauge(
            "model_drift", "Population stability index of the last day against the champion's first.", ("of",)
        )
        self.withheld = gauge("model_withheld", "1 while the newest version lies outside a band, by band.", ("band",))
        for band in BANDS:
            self.withheld.labels(band)
        for kind in get_args(Kind):
            self.known.labels(kind)
            self.told_bytes.labels(kind)
        self.model_loss = gauge("model_log_loss", "Recent log loss on labelled transactions, by model.", ("model",))
        self.model_precision = gauge(
            "model_average_precision", "Average precision among recent labelled transactions, by model.", ("model",)
        )
        for what in LEARNED_AS:
            self.labelled.labels(what)
        for result in LATE:
            self.late.labels(result)
        for one in JUDGED:
            self.log_loss.labels(one)
        for score in SCORES:
            self.drift.labels(score)

    def waits(self, rows: int, nbytes: int) -> None:
        self.waiting_rows.set(rows)
        self.waiting_bytes.set(nbytes)

    def knows(self, kind: Kind, entities: int) -> None:
        self.known.labels(kind).set(entities)

    def losses(self, progress: Progress) -> None:
        """How the classifier does beside the prior curve."""
        if progress.weight:
            self.log_loss.labels("classifier").set(progress.loss / progress.weight)
            self.log_loss.labels("prior").set(progress.prior_loss / progress.weight)
        self.qualified.set(progress.qualified)

    def judged(self, outside: Sequence[str]) -> None:
        """The newest version lies outside these bands."""
        for band in BANDS:
            self.withheld.labels(band).set(band in outside)

    def contest(self, standings: Sequence[Standing]) -> None:
        """Champion and challengers on the same rows."""
        self.model_loss.clear()
        self.model_precision.clear()
        for one in standings:
            if one.progress.weight:
                self.model_loss.labels(one.name).set(one.progress.loss / one.progress.weight)
            if one.average_precision is not None:
                self.model_precision.labels(one.name).set(one.average_precision)

    def standby(self) -> None:
        """This process no longer leads: what it said of the model and the log is no longer its to say."""
        self.leading.set(0)
        self.model_age.set(0)
        self.judged(())
        self.contest(())
        self.consumer_lag.clear()
        self.model(NO_MODEL)

    def model(self, version: str) -> None:
        """``version`` is the newest model now."""
        self.model_info.clear()
        self.model_info.labels(version).set(1)
