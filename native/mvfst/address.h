// Numeric addresses, as mvfst takes them.
#pragma once

#include <quic/common/address/QuicSocketAddress.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace mvfstrl {

// Throws std::invalid_argument naming the address: names are not looked up.
inline quic::SocketAddress numeric_address(const std::string& host, std::uint16_t port) {
  try {
    return quic::SocketAddress(host, port);
  } catch (const std::exception&) {
    throw std::invalid_argument("host: must be a numeric address (127.0.0.1, ::1), got '" + host + "'");
  }
}

}  // namespace mvfstrl
