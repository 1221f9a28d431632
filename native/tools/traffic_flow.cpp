#include "tools/traffic_flow.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "environment/hosted_session.h"
#include "host/policy_session.h"

namespace mvfstrl::tools {
namespace {

// What mvfst sends by default (QuicConstants.h).
constexpr ByteCount kPacketOverIpv4{1252}, kPacketOverIpv6{1232};

std::unique_ptr<Session> policy_session(const TrafficArguments& arguments, ByteCount packet_size) {
  const auto model = PolicyModel::load(arguments.policy_file);
  SessionConfig config = policy_session_config(model->description(), packet_size, GuardConfig{});
  config.guard = arguments.guard;
  config.pacing = forced_pacing(arguments.pacing);
  try {
    return std::make_unique<Session>(config, Rng(), Rng(), model, arguments.job);
  } catch (const std::invalid_argument& error) {
    throw UsageError("--" + std::string(error.what()));  // of the job: all else has been seen to
  }
}

// mvfst would only log that it left none.
void require_qlog_folder(const std::string& folder) {
  if (folder.empty()) return;
  if (!std::filesystem::is_directory(folder)) throw UsageError("--qlog: there is no folder '" + folder + "'");
  if (faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    throw UsageError("--qlog: nothing can be written to '" + folder + "'");
  }
}

}  // namespace

TrafficFlow make_traffic_flow(const TrafficArguments& arguments) {
  require_qlog_folder(arguments.qlog_folder);
  EnvironmentConfig config;
  config.transport.window.packet_size =
      arguments.host.find(':') == std::string::npos ? kPacketOverIpv4 : kPacketOverIpv6;
  config.transport.pacing = arguments.pacing;
  FlowConfig& flow = config.flows.front();
  if (arguments.policy_file.empty()) flow.controller = arguments.scheme;

  TrafficFlow made;
  made.session = arguments.policy_file.empty()
                     ? make_session(config, {})
                     : policy_session(arguments, config.transport.window.packet_size);
  made.config = flow;
  made.sender.host = arguments.host;
  made.sender.port = arguments.port;
  made.sender.ca_file = arguments.ca_file;
  made.sender.qlog_folder = arguments.qlog_folder;
  made.sender.traffic = arguments.traffic;
  made.sender.scheme = mvfst_scheme(flow.controller);
  made.sender.pacing = forced_pacing(arguments.pacing);
  made.sender.window = config.transport.window;
  made.sender.segmentation_offload = arguments.segmentation_offload;
  return made;
}

ReceiverOptions receiver_options(const TrafficArguments& arguments) {
  require_qlog_folder(arguments.qlog_folder);
  return {.host = arguments.host,
          .port = arguments.port,
          .certificate_file = arguments.certificate_file,
          .key_file = arguments.key_file,
          .qlog_folder = arguments.qlog_folder};
}

}  // namespace mvfstrl::tools
