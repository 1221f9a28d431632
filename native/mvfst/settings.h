// How both ends of a connection are set up beside mvfst's defaults.
#pragma once

#include <quic/state/TransportSettings.h>

#include "common/units.h"
#include "mvfst/sender.h"

namespace mvfstrl {

quic::TransportSettings common_settings();

// `wants_pacing`: the session's controller does; mvfst's own schemes are asked by name.
quic::TransportSettings sender_settings(const SenderOptions& options, bool wants_pacing);

// Throws std::invalid_argument naming the option.
void check_packet_size(ByteCount size);

}  // namespace mvfstrl
