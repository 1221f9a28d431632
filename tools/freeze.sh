#!/usr/bin/env bash
# Rewrites constraints.txt from what .venv holds. Local version labels (+cpu) go: other machines have other builds.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

{
  sed '/^[^#]/,$d' constraints.txt
  "$VENV/bin/python" -m pip freeze --all --exclude-editable | sed -E 's/\+[a-z0-9.]+$//'
} >constraints.new
mv constraints.new constraints.txt
say "constraints.txt: $(grep -c == constraints.txt) packages"
