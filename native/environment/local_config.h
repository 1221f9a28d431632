// The guard's configuration across the language boundary (see config_io.h).
#pragma once

#include "environment/value.h"
#include "policy/guard.h"

namespace mvfstrl {

Value guard_value(const GuardConfig& guard);

// Knobs may be left out. Throws ConfigError naming the dotted key, `guard.` first.
GuardConfig parse_guard(const Value& value);

}  // namespace mvfstrl
