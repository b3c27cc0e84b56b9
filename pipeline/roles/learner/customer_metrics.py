"""What Prometheus sees of the customers a learner keeps. Every series is there, at zero, from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge

WHY = ("changed", "activity")


class CustomerMetrics:
    """Registered in ``registry``, one per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.customers = Gauge("cardwatch_customers", "Customers known.", registry=registry)
        self.told = Counter(
            "cardwatch_customer_states_total",
            "Records of customer-state written: of a first payment, other tags or another band, or of activity alone.",
            ["why"],
            registry=registry,
        )
        self.dropped = Counter(
            "cardwatch_customers_dropped_total", "Customers let go of: idle, or beyond the limit.", registry=registry
        )
        self.skipped = Counter(
            "cardwatch_customers_skipped_total", "Records of scored whose customers could not be counted.", registry=registry
        )  # fmt: skip
        self.unmatched = Counter(
            "cardwatch_customer_labels_unmatched_total", "Fraud labels of a card that no customer here has.", registry=registry
        )  # fmt: skip
        self.refused = Counter(
            "cardwatch_tags_refused_total", "Changed files of tags that were refused.", registry=registry
        )
        for why in WHY:
            self.told.labels(why)
