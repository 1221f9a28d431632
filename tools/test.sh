#!/usr/bin/env bash
# All tests: native (ctest, built in build/test), then Python (pytest; arguments are passed on).
# Leaves build/test/ctest.xml and build/test/pytest.xml, which tools/skips.py reads.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

BUILD="$ROOT/build/test"
JOBS="$(nproc)"
status=0

# Optimised, with assertions: the extension that the Python tests load is built without them.
step "Configuring the native tests" configure "$BUILD" -DMVFSTRL_TESTS=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-O2
step "Building the native tests" "$VENV/bin/ninja" -C "$BUILD" -j "$JOBS"
say "Native tests"
"$VENV/bin/ctest" --test-dir "$BUILD" -j "$JOBS" --output-on-failure --no-tests=error \
  --output-junit "$BUILD/ctest.xml" || status=1
say "Python tests"
"$VENV/bin/python" -m pytest --junitxml="$BUILD/pytest.xml" -o junit_family=xunit1 --durations=10 "$@" || status=1
say "Native and Python tests ended in $SECONDS s"
exit "$status"
