#!/usr/bin/env bash
# A scorer through every outage of its store, its broker, itself and its input: nothing lost, nothing doubled. Apache Kafka, Redis.
# limit: 200 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
# An outage is mostly waiting: three courses at once.
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" \
    .venv/bin/python .ci/at_once.py tests/real/test_outages.py "test_redis and not back" "test_worker"
