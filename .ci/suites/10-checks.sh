#!/usr/bin/env bash
# Style, types and layers.
# limit: 90 s
set -euo pipefail
make --no-print-directory lint types layers
