#!/usr/bin/env bash
# Style, formatting and types. With --fix, rewrites what can be rewritten instead of checking it.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

FIX="${1:-}"
status=0

check() { # check NAME COMMAND...
  local name="$1"
  shift
  if "$@"; then
    printf '    %s: ok\n' "$name"
  else
    printf '    %s: FAILED\n' "$name"
    status=1
  fi
}

mapfile -t native_sources < <(git ls-files --cached --others --exclude-standard 'native/*.h' 'native/*.cpp')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' '*.sbatch' '.ci/run')

if [[ "$FIX" == --fix ]]; then
  check "ruff check --fix" "$VENV/bin/ruff" check --fix .
  check "ruff format" "$VENV/bin/ruff" format .
  check "clang-format" "$VENV/bin/clang-format" -i "${native_sources[@]}"
  exit "$status"
fi

check "ruff check" "$VENV/bin/ruff" check .
check "ruff format" "$VENV/bin/ruff" format --check .
check "clang-format" "$VENV/bin/clang-format" --dry-run -Werror "${native_sources[@]}"
check "mypy --strict" "$VENV/bin/mypy" --strict
if command -v shellcheck >/dev/null; then
  check "shellcheck" shellcheck -x "${scripts[@]}"
else
  printf '    shellcheck: not installed here; tools/setup.sh ci installs it\n'
fi
exit "$status"
