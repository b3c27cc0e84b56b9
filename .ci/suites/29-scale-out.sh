#!/usr/bin/env bash
# Scorers come and go under load, and one is killed: one decision each, the same rows. Apache Kafka, Redis.
# limit: 120 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" \
    .venv/bin/python -m pytest -q -s tests/real/test_scale_out.py
