#include "environment/local_config.h"

#include "environment/config_visitor.h"
#include "environment/scheme_fields.h"

namespace mvfstrl {

template <class V>
void visit_fields(V& v, ControllerConfig& c) {
  v.alternatives("kind", c, kControllerNames);
}

template <class V>
void visit_fields(V& v, GuardConfig& g) {
  v.knob("enabled", g.enabled);
  v.knob("max_latency_ms", g.max_latency, kPositive);
  v.knob("pinned_windows", g.pinned_windows, kAtLeastOne);
  v.knob("return_after", g.return_after, kAtLeastOne);
  v.knob("max_return_after", g.max_return_after, kAtLeastOne);
  v.knob("fallback", g.fallback);
}
static void validate(const GuardConfig& g, const std::string& path) {
  if (const auto problem = g.problem()) throw ConfigError(path + "." + problem->field, problem->requirement);
}

Value guard_value(const GuardConfig& guard) { return ConfigWriter::write(guard); }

GuardConfig parse_guard(const Value& value) { return ConfigReader::read<GuardConfig>(value, "guard"); }

}  // namespace mvfstrl
