# Sourced by the scripts beside it: where things are, and how progress is told.
# shellcheck shell=bash
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
# shellcheck disable=SC2034 # for the scripts that source this
STATE="$VENV/.mvfstrl" # stamps of the set-up; gone when .venv is removed
# Reference data: used where it is, never needed.
export MVFSTRL_SHARED="${MVFSTRL_SHARED:-$ROOT/../shared}"

# Where a real mvfst was installed: what the environment says or, where it says nothing, what the set-up was last told.
# Empty: where CMake finds one by itself.
if [[ -z "${MVFST_ROOT+said}" && -f "$STATE/mvfst" ]]; then MVFST_ROOT="$(cat "$STATE/mvfst")"; fi
MVFST_ROOT="${MVFST_ROOT:-}"
if [[ -n "$MVFST_ROOT" ]]; then MVFST_MODE=ON; else MVFST_MODE=AUTO; fi

say() { printf '==> %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step TITLE COMMAND...: runs a quiet command, says how long it took, and shows its log when it fails.
step() {
  local title="$1" begin=$SECONDS pid waited=0 status=0 log
  shift
  log="$(mktemp)" # not in .venv, which one step makes anew
  say "$title"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    waited=$((waited + 1))
    if ((waited % 150 == 0)); then
      printf '    %d s: %s\n' "$((SECONDS - begin))" "$(tail -n 1 "$log" | cut -c 1-90)"
    fi
  done
  wait "$pid" || status=$?
  if ((status != 0)); then
    tail -n 60 "$log" >&2
    rm -f "$log"
    die "$title: failed (exit $status) after $((SECONDS - begin)) s"
  fi
  rm -f "$log"
  printf '    done in %d s\n' "$((SECONDS - begin))"
}

# say_mvfst FOLDER: what the build in FOLDER found.
say_mvfst() { if [[ -f "$1/mvfst.txt" ]]; then say "$(cat "$1/mvfst.txt")"; fi; }

# configure FOLDER OPTION...: configures native/ into FOLDER with the cmake and ninja of .venv.
configure() {
  local folder="$1" launcher=()
  shift
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  "$VENV/bin/cmake" -S "$ROOT/native" -B "$folder" -G Ninja -DCMAKE_MAKE_PROGRAM="$VENV/bin/ninja" \
    "-DMVFSTRL_MVFST=$MVFST_MODE" "-DMVFST_ROOT=$MVFST_ROOT" "${launcher[@]}" "$@"
}
