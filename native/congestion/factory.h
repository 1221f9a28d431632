// A controller from its configuration. Each algorithm's parameters live beside the algorithm.
#pragma once

#include <array>
#include <memory>
#include <variant>

#include "common/rng.h"
#include "congestion/bbr.h"
#include "congestion/bbr3.h"
#include "congestion/controller.h"
#include "congestion/copa.h"
#include "congestion/cubic.h"
#include "congestion/external.h"
#include "congestion/fixed.h"
#include "congestion/ledbat.h"
#include "congestion/newreno.h"
#include "congestion/sprout.h"
#include "congestion/vegas.h"
#include "congestion/vivace.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

// Kept in one order; a new controller is a line in each of the two, and one in make_controller().
using ControllerConfig =
    std::variant<ExternalConfig, NewRenoConfig, CubicConfig, FixedConfig, CopaConfig, SproutConfig, BbrConfig,
                 VivaceConfig, VegasConfig, LedbatConfig, Bbr3Config>;
inline constexpr std::array kControllerNames = {"external", "newreno", "cubic", "fixed",  "copa", "sprout",
                                                "bbr",      "vivace",  "vegas", "ledbat", "bbr3"};
static_assert(kControllerNames.size() == std::variant_size_v<ControllerConfig>);

// `rng` is for controllers that draw lots. Throws std::invalid_argument naming the bad field.
std::unique_ptr<CongestionController> make_controller(const ControllerConfig& config,
                                                      const WindowLimits& limits, Rng rng = Rng());

inline const char* controller_name(const ControllerConfig& config) {
  return kControllerNames[config.index()];
}

}  // namespace mvfstrl
