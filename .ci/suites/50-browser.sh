#!/usr/bin/env bash
# The desk, the phone page and the demo in a real browser: Chromium.
# limit: 300 s
set -euo pipefail
bash .ci/install-chromium.sh
CARDWATCH_TEST_REAL=1 .venv/bin/python -m pytest -q tests/real/test_desk_page.py tests/real/test_phone_page.py tests/real/test_demo.py
