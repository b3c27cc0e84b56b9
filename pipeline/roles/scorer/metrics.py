"""What operations see of a scorer. Whole polls are counted at once; no label names a card or a merchant."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.core.decision import Outcome
from pipeline.histogram import LATENCY_BUCKETS_S, BatchHistogram

STAGES = ("decode", "advance", "model", "decide", "encode", "append")
_POLL_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_STAGE_BOUNDS_S = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_SCORE_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


class ScorerMetrics:
    """Registers the scorer's series in ``registry``, each created at zero."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(f"cardwatch_{name}", words, labels, registry=registry)

        def gauge(name: str, words: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(f"cardwatch_{name}", words, labels, registry=registry)

        self.transactions = counter("transactions", "Transactions decided, by outcome", ["outcome"])
        for outcome in Outcome:
            self.transactions.labels(outcome.name)
        self.withheld = counter("control_group", "Transactions let off to measure, by what was withheld", ["outcome"])
        for outcome in list(Outcome)[1:]:
            self.withheld.labels(outcome.name)
        self.latency = BatchHistogram(
            registry,
            "cardwatch_decision_latency_seconds",
            "From the transaction's Kafka timestamp to its acknowledged decision",
            LATENCY_BUCKETS_S,
        )
        self.poll_size = BatchHistogram(registry, "cardwatch_poll_size", "Records in a poll", _POLL_SIZES)
        self.stages = BatchHistogram(
            registry, "cardwatch_stage_seconds", "Time of a poll's stages", _STAGE_BOUNDS_S, "stage", STAGES
        )
        self.score = BatchHistogram(registry, "cardwatch_score", "Probability of fraud", _SCORE_BOUNDS)
        self.rule_hits = counter("rule_hits", "Transactions a rule hit", ["rule"])
        self.dead_letters = counter("dead_letters", "Messages that could not be used, by reason", ["reason"])
        self.duplicates = counter("duplicates", "Transactions sent again: no second decision")
        self.checkpoint = BatchHistogram(
            registry, "cardwatch_checkpoint_seconds", "Time to save changed rows and offset", LATENCY_BUCKETS_S
        )
        self.checkpoints_failed = counter("checkpoints_failed", "Saves the store did not answer or refused")
        self.checkpoint_age = gauge("checkpoint_age_seconds", "Age of the oldest unsaved change")
        self.resident_profiles = gauge("resident_profiles", "Card rows in memory")
        self.archived_profiles = gauge(
            "archived_profiles", "Card rows in the store's archive, those of cards that came back among them"
        )
        self.moved_profiles = counter("moved_profiles", "Histories that a card took over from the one before it")
        self.unsaved_profiles = gauge("unsaved_profiles", "Card rows in memory that the store does not have yet")
        self.broker_silent = gauge("broker_silent_seconds", "Time since the broker last told how much waits")
        self.lag = gauge("consumer_lag", "Records not yet handled", ["role", "partition"])
        self.model_info = gauge("model_info", "1 for the model in use", ["version"])
        self.model_frozen = gauge("model_frozen", "1 while people keep one version of the model in force")
        self.model_age = gauge("model_age_seconds", "Age of the newest transaction the model has learned from")
        self.policy_info = gauge("policy_info", "1 for the policy in use", ["version"])

    def know_reasons(self, reasons: Iterable[str]) -> None:
        """Create the dead-letter series at zero."""
        for reason in reasons:
            self.dead_letters.labels(reason)

    def know_rules(self, rules: Iterable[str]) -> None:
        """Create the series of a policy's rules at zero: the first hit of one that begins at 1 is in no rate."""
        for rule in rules:
            self.rule_hits.labels(rule)
