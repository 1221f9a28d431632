// Configuration across the language boundary: defaults out, strict parsing in.
#pragma once

#include "environment/config.h"
#include "environment/config_visitor.h"
#include "environment/value.h"

namespace mvfstrl {

// The default of every knob, in the form that parse_config takes. Where a mapping has a `kind`, the fields
// beside it are that kind's; the other kinds' are in default_alternatives().
Value default_config();

// {"rate": {"constant": {...}, "poisson": {...}, ...}, "controller": ..., "app": ..., "reward": ...,
//  "action_delay": ...}: each choice of `kind` with its defaults.
Value default_alternatives();

// Strict: every key must be there and none besides. Throws ConfigError (an std::invalid_argument) naming the
// dotted key. Trace files are opened later, when an environment is made.
EnvironmentConfig parse_config(const Value& value);

}  // namespace mvfstrl
