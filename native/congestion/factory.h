// A controller from its configuration. Each algorithm's parameters live beside the algorithm.
#pragma once

#include <memory>
#include <string_view>
#include <variant>

#include "congestion/controller.h"
#include "congestion/cubic.h"
#include "congestion/external.h"
#include "congestion/fixed.h"
#include "congestion/newreno.h"
#include "congestion/window_limits.h"

namespace mvfstrl {

using ControllerConfig = std::variant<ExternalConfig, NewRenoConfig, CubicConfig, FixedConfig>;

// Throws std::invalid_argument naming the bad field.
std::unique_ptr<CongestionController> make_controller(const ControllerConfig& config,
                                                      const WindowLimits& limits);

// "external", "newreno", "cubic" or "fixed".
std::string_view controller_name(const ControllerConfig& config);

}  // namespace mvfstrl
