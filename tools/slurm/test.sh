#!/usr/bin/env bash
# The tests of tests/slurm (arguments are passed on to pytest) beside a throw-away cluster. None may be skipped.
# Leaves build/test/slurm.xml.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
cd "$ROOT"

mkdir -p build/test
"$ROOT/tools/slurm/with_cluster.sh" "$VENV/bin/python" -m pytest tests/slurm --junitxml="$ROOT/build/test/slurm.xml" \
  -o junit_family=xunit1 -o timeout=1200 --durations=10 "$@"
"$VENV/bin/python" tools/skips.py "$ROOT/build/test/slurm.xml"
