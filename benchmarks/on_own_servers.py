"""`cardwatch bench` on an Apache Kafka and a Redis of its own, started for it and ended after it.

    python benchmarks/on_own_servers.py LIBS [ARGUMENT…]

LIBS is a directory of Kafka's jars (`.ci/install-kafka.sh LIBS`); the arguments are those of `cardwatch bench`.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))

from servers import ApacheKafka, RedisServer

JAVA_OPTIONS = ("-Xms1g", "-Xmx1g")


def version(libs: Path) -> str:
    """Kafka's, from the name of its jar."""
    found = [re.fullmatch(r"kafka_2\.13-(.+)\.jar", path.name) for path in libs.glob("kafka_2.13-*.jar")]
    return next((match[1] for match in found if match), "unknown")


def run(arguments: Sequence[str], environment: dict[str, str]) -> int:
    """The benchmark's exit code. Signals are its to handle: this program waits until it has cleaned up."""
    bench = subprocess.Popen([sys.executable, "-m", "pipeline.cli", "bench", *arguments], env=environment)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # a terminal sends it to both
    signal.signal(signal.SIGTERM, lambda number, frame: bench.terminate())
    return bench.wait()


def main(libs: Path, arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as directory:
        kafka = ApacheKafka(Path(directory) / "kafka", libs, java_options=JAVA_OPTIONS)
        redis = RedisServer(Path(directory) / "redis")
        try:
            kafka.start()
            redis.start()
            environment = os.environ | {
                "CARDWATCH_KAFKA_BOOTSTRAP": kafka.bootstrap,
                "CARDWATCH_REDIS_URL": redis.url,
            }
            return run(["--kafka-version", version(libs), *arguments], environment)
        finally:
            redis.stop()
            kafka.stop()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
