"""A flame graph of the scorer at full load, by py-spy (`pip install py-spy`), on a Kafka and a Redis of its own.

    python benchmarks/flame_graph.py LIBS OUT.svg [CODE]

LIBS is a directory of Kafka's jars; CODE a checkout whose scorer is to be looked at instead of this one's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real"))

from on_own_servers import JAVA_OPTIONS
from servers import ApacheKafka, RedisServer

from pipeline.lab.bench.backlog import count
from pipeline.lab.bench.kafka import preload
from pipeline.lab.bench.options import OURS, REFERENCES, options_for
from pipeline.lab.bench.stream import Stream
from pipeline.lab.bench.workplace import Workplace

ROOT = Path(__file__).parents[1]
TRANSACTIONS = 400_000
WARM = 20_000
SECONDS = 3
RATE = 500


def draw(workplace: Workplace, out: Path, code: Path) -> None:
    """Let a scorer of ``code`` work through a backlog, and look at it after its first transactions. Raises
    subprocess.CalledProcessError when py-spy fails."""
    ground = workplace.ground(OURS)
    preload(workplace.producer, ground.source, Stream(workplace.options.sizes.stream_cards), range(TRANSACTIONS))
    os.environ["PYTHONPATH"] = str(code)
    consumer = workplace.cluster.reader(ground.target)
    scorer = workplace.scorer(ground)
    try:
        count(consumer, WARM, scorer.child)
        subprocess.run(
            ["py-spy", "record", "--gil", "--threads", "--rate", str(RATE), "--duration", str(SECONDS),
             "--output", str(out), "--pid", str(scorer.child.pid)],
            check=True,
        )  # fmt: skip
    finally:
        consumer.close()
        workplace.end(scorer.child)
        workplace.clear(ground)


def main(libs: Path, out: Path, code: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        kafka = ApacheKafka(Path(directory) / "kafka", libs, java_options=JAVA_OPTIONS)
        redis = RedisServer(Path(directory) / "redis")
        try:
            kafka.start()
            redis.start()
            os.environ["CARDWATCH_KAFKA_BOOTSTRAP"] = kafka.bootstrap
            os.environ["CARDWATCH_REDIS_URL"] = redis.url
            workplace = Workplace(options_for("backlog", 1, False, "200", None, None, REFERENCES, None))
            try:
                draw(workplace, out, code)
            finally:
                workplace.close()
        finally:
            redis.stop()
            kafka.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else ROOT)
