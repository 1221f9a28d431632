#!/usr/bin/env bash
# The set-up that a user starts. Everything it does is in tools/.
#
#   ./setup.sh                                             to train: .venv with the packages and the native extension
#   ./setup.sh --inference [--prefix DIR] [--torch PATH]   to deploy: what runs exported policies, without Python
#
# --inference builds native/ with CMake alone and installs headers, static libraries, a CMake package
# (find_package(mvfstrl)) and the executable mvfstrl-policy into DIR (default: build/inference/prefix). PATH is a libtorch,
# or the torch package of a Python: with it, TorchScript modules run too. docs/inference.md tells more.
set -euo pipefail
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/tools"

usage() { sed -n '2,/^set/{/^set/d; s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

refuse() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

inference=0 prefix="" torch=""
while (($# > 0)); do
  case "$1" in
    --inference) inference=1 ;;
    --prefix | --torch)
      (($# > 1)) || refuse "$1: needs a value"
      if [[ "$1" == --prefix ]]; then prefix="$2"; else torch="$2"; fi
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) refuse "no option '$1': there are --inference, --prefix, --torch and --help" ;;
  esac
  shift
done

if ((inference)); then
  exec "$TOOLS/inference.sh" "$prefix" "$torch"
fi
[[ -z "$prefix$torch" ]] || refuse "--prefix and --torch belong to --inference"
exec "$TOOLS/setup.sh" train
