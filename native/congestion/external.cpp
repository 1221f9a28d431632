#include "congestion/external.h"

namespace mvfstrl {

ExternalController::ExternalController(const WindowLimits& limits)
    : limits_(limits), window_(limits.initial()) {
  limits_.validate();
}

}  // namespace mvfstrl
