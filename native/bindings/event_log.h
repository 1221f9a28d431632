#pragma once

#include <pybind11/pybind11.h>

#include "transport/event_log.h"

namespace mvfstrl {

// Columns by the kind of event, and `order`, the kinds as they happened; mvfstrl/_native.pyi names them.
pybind11::dict event_columns(const EventLog& log);

}  // namespace mvfstrl
