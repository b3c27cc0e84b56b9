"""What Prometheus sees of the archive. Every series is there, at zero, from the start."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipeline.core.archive_files import KINDS
from pipeline.core.archive_join import SKIPPED

COMPACTION_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600)


class ArchiveMetrics:
    """Registered in ``registry``, one per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Counter(
            "cardwatch_archive_rows", "Rows written to the archive by this process.", ["kind"], registry=registry
        )
        self.files = Gauge("cardwatch_archive_files", "Files of the archive.", ["kind"], registry=registry)
        self.bytes = Gauge("cardwatch_archive_bytes", "Bytes of the archive's files.", ["kind"], registry=registry)
        for kind in KINDS:
            self.rows.labels(kind)
            self.files.labels(kind)
            self.bytes.labels(kind)
        self.skipped = Counter(
            "cardwatch_archive_skipped",
            "What could not be archived, or not whole, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in SKIPPED:
            self.skipped.labels(reason)
        self.age = Gauge(
            "cardwatch_archive_age_seconds",
            "Age of the oldest decided transaction or label read and not yet in a file; 0 when there is none.",
            registry=registry,
        )
        self.lag = Gauge("cardwatch_consumer_lag", "Records not read yet.", ["role", "partition"], registry=registry)
        self.compaction = Histogram(
            "cardwatch_archive_compaction_seconds",
            "Time to make one file of a partition's day.",
            buckets=COMPACTION_BUCKETS,
            registry=registry,
        )
        self.writing = Gauge(
            "cardwatch_archive_writing", "1 while this process writes to the archive.", registry=registry
        )
        self.failures = Counter(
            "cardwatch_archive_failures", "Times the archive let go of everything and began again.", registry=registry
        )
