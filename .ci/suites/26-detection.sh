#!/usr/bin/env bash
# Archive and learner: each transaction kept once however often the archive is killed, a label known to every scorer, a history moved once though workers are killed: Apache Kafka, Redis.
# limit: 120 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" .venv/bin/python -m pytest -q \
    tests/real/test_archive_killed.py tests/real/test_labels_reach_scorers.py tests/real/test_cards_replaced_killed.py
