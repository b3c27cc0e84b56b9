#!/usr/bin/env bash
# Card and phone numbers planted at the door of a whole installation are found nowhere in what it wrote.
# limit: 120 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" \
    .venv/bin/python -m pytest -q tests/real/test_no_clear_numbers.py
