#!/usr/bin/env bash
# Builds and installs what runs exported policies, without Python: inference.sh PREFIX TORCH (either may be empty).
# MVFST_ROOT=... is where a real mvfst was installed; without, one is taken where CMake finds it by itself.
# CMAKE=... chooses another cmake than that of PATH, CXX=... the compiler.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BUILD="$ROOT/build/inference"
PREFIX="${1:-$BUILD/prefix}" TORCH="${2:-off}"
CMAKE="${CMAKE:-cmake}"
JOBS="$(nproc)"

# Before a change of folder makes them mean another place.
[[ "$PREFIX" == /* ]] || PREFIX="$PWD/$PREFIX"
if [[ "$TORCH" != off ]]; then
  [[ -d "$TORCH" ]] || die "--torch: no such folder: $TORCH"
  TORCH="$(cd "$TORCH" && pwd)"
fi

CMAKE="$CMAKE" "$ROOT/tools/setup.sh" inference

options=(-DMVFSTRL_INFERENCE=ON "-DMVFSTRL_TORCH=$TORCH" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_INSTALL_PREFIX=$PREFIX")
options+=("-DMVFSTRL_MVFST=$MVFST_MODE" "-DMVFST_ROOT=$MVFST_ROOT")
if [[ -n "${CXX:-}" ]]; then options+=("-DCMAKE_CXX_COMPILER=$CXX"); fi
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
if command -v ninja >/dev/null && [[ ! -f "$BUILD/Makefile" ]]; then options+=(-G Ninja); fi
step "Configuring native/ into ${BUILD#"$ROOT"/}" "$CMAKE" -S "$ROOT/native" -B "$BUILD" "${options[@]}"
say_mvfst "$BUILD"
step "Building it" "$CMAKE" --build "$BUILD" --parallel "$JOBS" --target package_libraries
step "Installing it into $PREFIX" "$CMAKE" --install "$BUILD"
if [[ -x "$PREFIX/bin/mvfstrl-traffic" ]]; then say "$PREFIX/bin/mvfstrl-traffic --help tells how to send with them"; fi
say "$PREFIX/bin/mvfstrl-policy --help tells how to use it; CMake finds the package with -DCMAKE_PREFIX_PATH=$PREFIX"
