#!/usr/bin/env bash
# The broker's promises and the worker's once more on the oldest Apache Kafka we support, 3.9: all else stands on these two.
# again: on another version
# limit: 90 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka-3.9" 3.9.1
# Both mostly wait: for fetches with nothing to answer, for silent members.
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka-3.9" .venv/bin/python .ci/at_once.py \
    tests/real/test_apache_kafka_behaviour.py tests/real/test_worker_on_apache_kafka.py "test_worker_on_apache_kafka"
