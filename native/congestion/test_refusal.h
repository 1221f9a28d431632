// What a controller says of a configuration that it does not take.
#pragma once

#include <stdexcept>
#include <string>

#include "congestion/window_limits.h"

namespace mvfstrl {

// The message with which a Controller refuses the default Config after `change`; "accepted" if it does not.
template <class Controller, class Config, class Change>
std::string refusal(Change change) {
  Config config;
  change(config);
  try {
    Controller controller(config, WindowLimits{});
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace mvfstrl
