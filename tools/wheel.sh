#!/usr/bin/env bash
# Builds the wheel as a user would (isolated) and tries it in a clean environment, away from the sources:
# a short training run has to leave a checkpoint behind. A wheel has no mvfst in it, which other machines lack.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

CLEAN="$ROOT/build/wheel-environment"
TRIAL="$(mktemp -d)"
trap 'rm -rf "$TRIAL"' EXIT

rm -rf "$ROOT/dist" "$CLEAN"
step "Building the wheel" "$VENV/bin/python" -m pip wheel --disable-pip-version-check --no-deps \
  --build-constraint "$ROOT/constraints.txt" -C cmake.define.MVFSTRL_MVFST=OFF --wheel-dir "$ROOT/dist" "$ROOT"
WHEEL="$(ls "$ROOT"/dist/mvfst_rl-*.whl)"
say "Built ${WHEEL#"$ROOT"/} ($(du -k "$WHEEL" | cut -f 1) kB)"

step "Creating a clean environment" "$VENV/bin/python" -m venv "$CLEAN"
step "Installing torch into it" "$CLEAN/bin/python" -m pip install --disable-pip-version-check \
  -c "$ROOT/constraints.txt" torch
step "Installing the wheel into it" "$CLEAN/bin/python" -m pip install --disable-pip-version-check \
  -c "$ROOT/constraints.txt" "$WHEEL"

cd "$TRIAL"
say "Importing the extension"
"$CLEAN/bin/python" -I - "$CLEAN" <<'PY'
import sys
from pathlib import Path

import mvfstrl._native

assert Path(mvfstrl._native.__file__).is_relative_to(sys.argv[1]), mvfstrl._native.__file__
print("    " + ", ".join(sorted(mvfstrl._native.default_config())))
PY
step "Training for a moment" "$CLEAN/bin/mvfst-rl" mode=train env=constant total_steps=4000 device=cpu \
  tracker=none test_after_train=false hydra.run.dir="$TRIAL/run"
for left in config.yaml versions.json metrics.jsonl checkpoints; do
  [[ -s "$TRIAL/run/$left" ]] || die "the trial run left no $left"
done
[[ -n "$(ls "$TRIAL/run/checkpoints")" ]] || die "the trial run left no checkpoint"
say "The wheel works; the trial run left:" && find "$TRIAL/run" -type f -printf "    %P\n"
