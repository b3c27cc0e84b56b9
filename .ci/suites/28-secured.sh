#!/usr/bin/env bash
# Every role on servers that ask for TLS, a password or a certificate, with the rights of the manual and no others.
# limit: 90 s
set -euo pipefail
bash .ci/install-kafka.sh "$CARDWATCH_CI_DIR/kafka"
bash .ci/install-redis.sh
# Whom the servers let in, and whom they turn away: one waits while the other works.
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_KAFKA_LIBS="$CARDWATCH_CI_DIR/kafka" \
    .venv/bin/python .ci/at_once.py tests/real/test_secured_servers.py "every_role"
