#include "congestion/factory.h"

namespace mvfstrl {

namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

std::unique_ptr<CongestionController> make_controller(const ControllerConfig& config,
                                                      const WindowLimits& limits, Rng rng) {
  using Controller = std::unique_ptr<CongestionController>;
  return std::visit(
      Overloaded{
          [&](const ExternalConfig& c) -> Controller {
            return std::make_unique<ExternalController>(limits, c);
          },
          [&](const NewRenoConfig& c) -> Controller { return std::make_unique<NewReno>(c, limits); },
          [&](const CubicConfig& c) -> Controller { return std::make_unique<Cubic>(c, limits); },
          [&](const FixedConfig& c) -> Controller { return std::make_unique<FixedController>(c, limits); },
          [&](const CopaConfig& c) -> Controller { return std::make_unique<Copa>(c, limits); },
          [&](const SproutConfig& c) -> Controller { return std::make_unique<Sprout>(c, limits); },
          [&](const BbrConfig& c) -> Controller { return std::make_unique<Bbr>(c, limits, rng); },
          [&](const VivaceConfig& c) -> Controller { return std::make_unique<Vivace>(c, limits, rng); },
          [&](const VegasConfig& c) -> Controller { return std::make_unique<Vegas>(c, limits); },
          [&](const LedbatConfig& c) -> Controller { return std::make_unique<Ledbat>(c, limits); },
          [&](const Bbr3Config& c) -> Controller { return std::make_unique<Bbr3>(c, limits, rng); },
      },
      config);
}

}  // namespace mvfstrl
