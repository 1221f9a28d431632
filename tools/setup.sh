#!/usr/bin/env bash
# Prepares everything that the Makefile's targets need, and nothing twice.
#
#   tools/setup.sh train     Python environment (.venv) with the pinned packages and the native extension
#   tools/setup.sh test      the same, and what the tests need
#   tools/setup.sh bench     the same as test, and valgrind
#   tools/setup.sh ci        the same as bench, shellcheck, and Chromium, in which a report's page is tried
#   tools/setup.sh inference nothing but a compiler and CMake; tools/inference.sh builds with them, without Python
#
# As root on Debian or Ubuntu it installs missing system packages; elsewhere it prints the line to run.
# PYTHON=... and CXX=... choose the interpreter and the compiler, MVFST_ROOT=... the mvfst. pip's own settings are honoured.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

PROFILE="${1:-train}"
case "$PROFILE" in
  train) EXTRA="" ;;
  test | bench | ci) EXTRA="dev export" ;;
  inference) EXTRA="" ;;
  *) die "unknown profile '$PROFILE': use train, test, bench, ci or inference" ;;
esac

# --- What the machine must have -------------------------------------------------------------------

# python_state INTERPRETER: prints 'complete', 'incomplete' (no venv or headers), 'old' or 'absent'.
python_state() {
  command -v "$1" >/dev/null || { echo absent; return; }
  "$1" - <<'PY' 2>/dev/null || echo absent
import sys

if sys.version_info < (3, 11):
    print("old")
else:
    import os
    import sysconfig

    headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
    try:
        import ensurepip
        import venv
    except ImportError:
        headers = False
    print("complete" if headers else "incomplete")
PY
}

# Sets PYTHON_FOUND to the first interpreter that will do; otherwise to the first that lacks only packages.
find_python() {
  local candidate state
  local -a candidates
  PYTHON_FOUND="" PYTHON_STATE=absent
  if [[ -n "${PYTHON:-}" ]]; then
    candidates=("$PYTHON")
  else
    candidates=(python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3)
  fi
  for candidate in "${candidates[@]}"; do
    state="$(python_state "$candidate")"
    if [[ "$state" == complete ]]; then
      PYTHON_FOUND="$candidate" PYTHON_STATE=complete
      return
    fi
    if [[ "$state" == incomplete && "$PYTHON_STATE" != incomplete ]]; then
      PYTHON_FOUND="$candidate" PYTHON_STATE=incomplete
    elif [[ "$state" == old && "$PYTHON_STATE" == absent ]]; then
      PYTHON_FOUND="$candidate" PYTHON_STATE=old
    fi
  done
}

CXX_FOUND="${CXX:-c++}"

compiles() { printf '%s\n' "$1" | "$CXX_FOUND" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null; }

has_cxx20() {
  compiles '#include <concepts>
#include <span>
static_assert(std::integral<int> && std::span<int, 2>::extent == 2);'
}

has_cmake() {
  local version
  version="$("${CMAKE:-cmake}" --version 2>/dev/null | sed -n 's/^cmake version //p')" || return 1
  [[ "$(printf '%s\n' 3.22 "$version" | sort -V | head -n 1)" == 3.22 ]]
}

# Fills NEEDED with the names of what is missing: python, compiler, make, cmake, gtest, valgrind, shellcheck, chromium.
find_missing() {
  NEEDED=()
  if [[ "$PROFILE" == inference ]]; then
    has_cxx20 || NEEDED+=(compiler)
    has_cmake || NEEDED+=(cmake)
    command -v make >/dev/null || command -v ninja >/dev/null || NEEDED+=(make)
    return
  fi
  find_python
  [[ "$PYTHON_STATE" == complete ]] || NEEDED+=(python)
  has_cxx20 || NEEDED+=(compiler)
  command -v make >/dev/null || NEEDED+=(make)
  if [[ "$PROFILE" != train ]] && ! compiles '#include <gtest/gtest.h>'; then NEEDED+=(gtest); fi
  if [[ "$PROFILE" == bench || "$PROFILE" == ci ]] && ! command -v valgrind >/dev/null; then NEEDED+=(valgrind); fi
  if [[ "$PROFILE" == ci ]] && ! command -v shellcheck >/dev/null; then NEEDED+=(shellcheck); fi
  if [[ "$PROFILE" == ci ]] && ! command -v chromium >/dev/null; then NEEDED+=(chromium); fi
}

# Sets INSTALL to the command that brings what NEEDED names, or to nothing on an unknown system.
find_install_command() {
  local manager item python=python3
  INSTALL=()
  for manager in apt-get dnf pacman none; do
    command -v "$manager" >/dev/null && break
  done
  # Debian's packages carry the version of the interpreter whose parts are missing.
  if [[ "${PYTHON_STATE:-}" == incomplete ]]; then
    python="$("$PYTHON_FOUND" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
  fi
  case "$manager" in
    apt-get) INSTALL=(apt-get install -y --no-install-recommends) ;;
    dnf) INSTALL=(dnf install -y) ;;
    pacman) INSTALL=(pacman -S --needed --noconfirm) ;;
    *) return ;;
  esac
  for item in "${NEEDED[@]}"; do
    case "$manager:$item" in
      apt-get:python) INSTALL+=("$python" "$python-venv" "$python-dev") ;;
      apt-get:compiler) INSTALL+=(g++) ;;
      apt-get:gtest) INSTALL+=(libgtest-dev) ;;
      dnf:python) INSTALL+=(python3 python3-devel) ;;
      dnf:compiler) INSTALL+=(gcc-c++) ;;
      dnf:gtest) INSTALL+=(gtest-devel) ;;
      dnf:shellcheck) INSTALL+=(ShellCheck) ;;
      pacman:python) INSTALL+=(python) ;;
      pacman:compiler) INSTALL+=(gcc) ;;
      *) INSTALL+=("$item") ;;
    esac
  done
}

check_machine() {
  [[ "$(uname -s)" == Linux ]] || die "this project runs on Linux; this is $(uname -s)"
  find_missing
  ((${#NEEDED[@]} == 0)) && return
  find_install_command
  if ((${#INSTALL[@]} == 0)); then
    die "missing: ${NEEDED[*]} (Python >= 3.11 with venv and headers, a C++20 compiler, make, CMake >= 3.22, GoogleTest, ...);
  install them with this system's package manager, then run this again"
  fi
  if [[ "$(id -u)" != 0 ]] || [[ "${INSTALL[0]}" != apt-get ]]; then
    die "missing: ${NEEDED[*]}. Run this line, then the same command again:
  sudo ${INSTALL[*]}"
  fi
  export DEBIAN_FRONTEND=noninteractive
  step "Missing: ${NEEDED[*]}. Refreshing the list of packages" apt-get update
  step "Running ${INSTALL[*]}" "${INSTALL[@]}"
  find_missing
  ((${#NEEDED[@]} == 0)) && return
  die "still missing after the install: ${NEEDED[*]} (found: $("${PYTHON_FOUND:-python3}" --version 2>&1),
  $("$CXX_FOUND" --version 2>&1 | head -n 1)). This release's own packages are too old: install Python >= 3.11
  and a C++20 compiler (GCC >= 11 or Clang >= 14), then name them: make PYTHON=python3.12 CXX=g++-12 ..."
}

# --- What goes into .venv -------------------------------------------------------------------------

fingerprint() { sha256sum | cut -c 1-64; }

packages_fingerprint() { (cd "$ROOT" && cat pyproject.toml constraints.txt && echo "$EXTRA $VENV") | fingerprint; }

# The extension is built from these; tests, benchmarks and programs are not part of it.
native_fingerprint() {
  (cd "$ROOT" && find native -type f ! -name '*_test.cpp' ! -path 'native/bench/*' ! -path 'native/tools/*' \
    ! -path 'native/policy_torch/*' -print0 | sort -z |
    xargs -0 sha256sum && sha256sum pyproject.toml && echo "$MVFST_ROOT") | fingerprint
}

fresh() { [[ -x "$VENV/bin/python" && -f "$STATE/$1" && "$(cat "$STATE/$1")" == "$2" ]]; }

# Prints what pyproject.toml asks for, and the build's tools (the extension is built in .venv, not isolated).
requirements() {
  "$VENV/bin/python" - "$ROOT/pyproject.toml" "$EXTRA" <<'PY'
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    config = tomllib.load(file)
wanted = config["build-system"]["requires"] + ["cmake", "ninja"] + config["project"]["dependencies"]
for extra in sys.argv[2].split():
    wanted += config["project"]["optional-dependencies"][extra]
print("\n".join(wanted))
PY
}

pip_install() { "$VENV/bin/python" -m pip install --disable-pip-version-check -c "$ROOT/constraints.txt" "$@"; }

install_packages() {
  # Scripts in an environment name its folder: one that was moved is of no use.
  if [[ "$(cat "$STATE/location" 2>/dev/null)" != "$VENV" ]] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    step "Creating .venv with $("$PYTHON_FOUND" --version)" "$PYTHON_FOUND" -m venv --clear "$VENV"
  fi
  mkdir -p "$STATE"
  echo "$VENV" >"$STATE/location"
  step "Installing the pinned pip" pip_install pip
  # First and alone: a build that pip is told to prefer must be in place before a package asks for any torch.
  step "Installing torch (the largest download)" pip_install torch
  requirements >"$STATE/requirements-$PROFILE.txt"
  step "Installing Python packages" pip_install -r "$STATE/requirements-$PROFILE.txt"
}

install_extension() {
  step "Building and installing the native extension" env PATH="$VENV/bin:$PATH" \
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-build-isolation --no-deps \
    -C build-dir="$ROOT/build/extension" -C "cmake.define.MVFSTRL_MVFST=$MVFST_MODE" \
    -C "cmake.define.MVFST_ROOT=$MVFST_ROOT" -e "$ROOT"
}

if [[ "$PROFILE" == inference ]]; then
  check_machine
  exit
fi
packages="$(packages_fingerprint)" native="$(native_fingerprint)"
machine="machine-$PROFILE" installed="packages-${EXTRA:-runtime}"
installed="${installed%% *}"
if ! fresh "$machine" ok || ! fresh "$installed" "$packages"; then
  check_machine
  fresh "$installed" "$packages" || install_packages
  echo "$packages" >"$STATE/$installed"
  echo ok >"$STATE/$machine"
fi
if ! fresh native "$native"; then
  install_extension
  echo "$native" >"$STATE/native"
  echo "$MVFST_ROOT" >"$STATE/mvfst"
  say_mvfst "$ROOT/build/extension"
fi
