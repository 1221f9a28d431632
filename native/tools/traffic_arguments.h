// The command line of mvfstrl-traffic.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/units.h"
#include "environment/config.h"
#include "policy/guard.h"
#include "tools/option_value.h"
#include "traffic/config.h"
#include "transport/config.h"

namespace mvfstrl::tools {

enum class TrafficMode { kHelp, kClient, kServer };

struct TrafficArguments {
  TrafficMode mode = TrafficMode::kHelp;
  std::string host = "127.0.0.1";  // a numeric address
  std::uint16_t port = 4433;
  Duration interval = Duration::from_ms(1000);  // between lines of progress; zero: none
  std::optional<Duration> duration;             // none: a transfer's end, or forever
  std::string qlog_folder;
  bool json = false;

  // server; none of the two: made on the spot
  std::string certificate_file, key_file;

  // client
  std::string ca_file;                  // empty: anyone is trusted
  SchemeConfig scheme = CubicConfig{};  // unless there is a policy
  std::string policy_file;
  std::optional<GuardConfig> guard;  // beside a policy
  std::int32_t job = -1;
  AppConfig traffic = BulkApp{};
  Pacing pacing = Pacing::kAuto;
  bool segmentation_offload = false;
  Duration patience = Duration::from_ms(10'000);  // with the handshake
};

// `arguments` without the program's name. Throws UsageError.
TrafficArguments parse_traffic(std::span<const char* const> arguments);

extern const char* const kTrafficHelp;

}  // namespace mvfstrl::tools
