"""What Prometheus sees of the crm role. Every series is there, at zero, from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.core.crm_event import UNUSABLE

SYSTEMS = ("webhook", "zoho", "fxiaoke", "staff")
RESULTS = ("taken", "not_wanted", "rejected", "later")
REJECTED = "crm_rejected"


class CrmMetrics:
    """Registered in ``registry``, one per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter(
            "cardwatch_crm_sent",
            "Events handed to other systems, by what became of them",
            ["sink", "result"],
            registry=registry,
        )
        self.lag = Gauge(
            "cardwatch_crm_lag_seconds",
            "Age of the oldest event that a system has not taken; 0 when it has all",
            ["sink"],
            registry=registry,
        )
        for system in SYSTEMS:
            self.lag.labels(system).set(0)
            for result in RESULTS:
                self.sent.labels(system, result)
        self.dead_letters = Counter(
            "cardwatch_dead_letters", "Messages that could not be used, by reason", ["reason"], registry=registry
        )
        for reason in (*UNUSABLE, REJECTED):
            self.dead_letters.labels(reason)
