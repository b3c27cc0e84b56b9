#!/usr/bin/env bash
# SMS against an independent SMPP message centre (node-smpp), e-mail against an SMTP server with TLS and a password.
# limit: 120 s
set -euo pipefail
bash .ci/install-smsc.sh "$CARDWATCH_CI_DIR/smsc"
CARDWATCH_TEST_REAL=1 CARDWATCH_TEST_SMSC="$CARDWATCH_CI_DIR/smsc" .venv/bin/python -m pytest -q \
    tests/real/test_message_centre.py tests/real/test_mail_server.py
