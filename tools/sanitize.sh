#!/usr/bin/env bash
# The native tests under sanitizers: address and undefined behaviour for all of them, thread for those that
# start threads (environment, emulator). Where MVFST_ROOT names an mvfst, its host and mvfstrl-traffic as well, but not
# mvfst itself, which was built without them.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

JOBS="$(nproc)"
status=0

# sanitize NAME SANITIZERS "TARGET..." CTEST-ARGUMENT...
sanitize() {
  local build="$ROOT/build/sanitize-$1" sanitizers="$2" targets
  read -ra targets <<<"$3"
  shift 3
  step "Configuring the native tests with -fsanitize=$sanitizers" configure "$build" -DMVFSTRL_TESTS=ON \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-O1 "-DMVFSTRL_SANITIZE=$sanitizers"
  step "Building them" "$VENV/bin/ninja" -C "$build" -j "$JOBS" "${targets[@]}"
  # Without address randomisation: the thread sanitizer of GCC 12 cannot map its shadow on some kernels.
  setarch -R "$VENV/bin/ctest" --test-dir "$build" -j "$JOBS" --output-on-failure --no-tests=error "$@" ||
    status=1
}

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1
sanitize address address,undefined all
sanitize thread thread "environment_test emulator_test" -L "environment|emulator"
if [[ -n "$MVFST_ROOT" ]]; then
  TSAN_OPTIONS+=":suppressions=$ROOT/native/mvfst/tsan.supp"
  sanitize thread thread "mvfst_test tools_test" -L "mvfst|tools"
fi
exit "$status"
