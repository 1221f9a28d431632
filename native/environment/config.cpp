#include "environment/config.h"

#include <stdexcept>
#include <string>
#include <type_traits>

namespace mvfstrl {

std::optional<MvfstScheme> mvfst_scheme(const SchemeConfig& scheme) {
  return std::visit(
      [](const auto& config) -> std::optional<MvfstScheme> {
        if constexpr (requires { config.kScheme; }) return config.kScheme;
        return std::nullopt;
      },
      scheme);
}

void refuse_mvfst_scheme(const SchemeConfig& scheme, std::size_t index) {
  if (!mvfst_scheme(scheme)) return;
  throw std::invalid_argument("flows[" + std::to_string(index) + "].controller.kind: " + scheme_name(scheme) +
                              " runs inside mvfst alone");
}

ControllerConfig virtual_controller(const SchemeConfig& scheme) {
  return std::visit(
      [&](const auto& config) -> ControllerConfig {
        using Config = std::decay_t<decltype(config)>;
        if constexpr (std::is_same_v<Config, RandomActions>) {
          return ExternalConfig{.pacing = config.pacing};
        } else if constexpr (std::is_constructible_v<ControllerConfig, Config>) {
          return config;
        } else {
          throw std::invalid_argument(std::string(scheme_name(scheme)) + ": runs inside mvfst alone");
        }
      },
      scheme);
}

}  // namespace mvfstrl
