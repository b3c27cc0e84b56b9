#!/usr/bin/env bash
# The whole loop, and nothing lost or doubled while roles are killed or frozen, the store is away or lost: Apache Kafka, Redis.
# limit: 240 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" .venv/bin/python -m pytest -q \
    tests/real/test_loop.py tests/real/test_scorer_under_fire.py tests/real/test_roles_killed.py \
    tests/real/test_contact_rebuild.py
