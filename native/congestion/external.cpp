#include "congestion/external.h"

namespace mvfstrl {

ExternalController::ExternalController(const WindowLimits& limits, const ExternalConfig& config)
    : limits_(limits), window_(limits.initial()), pacing_(config.pacing) {
  limits_.validate();
}

}  // namespace mvfstrl
