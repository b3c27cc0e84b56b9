#!/usr/bin/env bash
# What a real Prometheus makes of the roles' metrics, the dashboard and the alerts.
# limit: 120 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
bash .ci/install-prometheus.sh
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" \
    .venv/bin/python -m pytest -q tests/real/test_metrics_on_prometheus.py
