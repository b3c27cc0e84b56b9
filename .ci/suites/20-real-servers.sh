#!/usr/bin/env bash
# Brokers and stores behave as the roles expect, and bad input harms nothing else: Apache Kafka, Redis.
# limit: 180 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" .venv/bin/python -m pytest -q \
    tests/real/test_apache_kafka_behaviour.py tests/real/test_real_servers.py \
    tests/real/test_worker_on_apache_kafka.py tests/real/test_contact_store.py tests/real/test_account_store.py \
    tests/real/test_bad_input.py \
    tests/real/test_stories_on_servers.py tests/real/test_crm_reading_on_apache_kafka.py \
    tests/real/test_past_and_present.py
