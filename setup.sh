#!/usr/bin/env bash
# The set-up that a user starts. Everything it does is in tools/.
#
#   ./setup.sh [--mvfst DIR]                               to train: .venv with the packages and the native extension
#   ./setup.sh --inference [--prefix DIR] [--torch PATH] [--mvfst DIR]
#                                                          to deploy: what runs exported policies, without Python
#
# --inference builds native/ with CMake alone and installs headers, static libraries, a CMake package
# (find_package(mvfstrl)) and the executable mvfstrl-policy into DIR (default: build/inference/prefix). PATH is a libtorch,
# or the torch package of a Python: with it, TorchScript modules run too. docs/inference.md tells more.
#
# --mvfst DIR, or MVFST_ROOT=DIR in the environment, is where a real mvfst was installed (docs/mvfst.md): with it there is
# transport=mvfst, or the executable mvfstrl-traffic. The training set-up remembers DIR; MVFST_ROOT= ./setup.sh forgets it.
set -euo pipefail
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/tools"

usage() { sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

refuse() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

inference=0 prefix="" torch="" mvfst=""
while (($# > 0)); do
  case "$1" in
    --inference) inference=1 ;;
    --prefix | --torch | --mvfst)
      (($# > 1)) || refuse "$1: needs a value"
      case "$1" in
        --prefix) prefix="$2" ;;
        --torch) torch="$2" ;;
        --mvfst) mvfst="$2" ;;
      esac
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse "no option '$1': there are --inference, --prefix, --torch, --mvfst and --help" ;;
  esac
  shift
done

if [[ -n "$mvfst" ]]; then export MVFST_ROOT="$mvfst"; fi
if [[ -n "${MVFST_ROOT:-}" ]]; then
  [[ -d "$MVFST_ROOT" ]] || refuse "--mvfst (or MVFST_ROOT): no such folder: $MVFST_ROOT"
  MVFST_ROOT="$(cd "$MVFST_ROOT" && pwd)"
fi
if ((inference)); then
  exec "$TOOLS/inference.sh" "$prefix" "$torch"
fi
[[ -z "$prefix$torch" ]] || refuse "--prefix and --torch belong to --inference"
exec "$TOOLS/setup.sh" train
