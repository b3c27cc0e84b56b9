#!/usr/bin/env bash
# The benchmark yields every figure and leaves nothing behind: Apache Kafka, Redis.
# limit: 200 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" \
    .venv/bin/python .ci/at_once.py tests/real/test_bench.py "figures"
