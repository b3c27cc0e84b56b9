#!/usr/bin/env bash
# Reminders, promises and payments, each said once though the role is killed between any two of them: Apache Kafka, Redis.
# limit: 150 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" .venv/bin/python -m pytest -q \
    tests/real/test_reminders_killed.py tests/real/test_reminder_story.py
