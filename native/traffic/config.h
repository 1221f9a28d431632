// What an application hands to its transport, in virtual time as over real connections.
#pragma once

#include <variant>

#include "common/units.h"

namespace mvfstrl {

struct BulkApp {};  // always has more
struct FixedSizeApp {
  ByteCount bytes{1'000'000};  // a transfer that ends; UDP payload bytes
};
// Alternates between sending and silence, starting with sending.
struct OnOffApp {
  Duration on = Duration::from_ms(1000);  // mean where exponential, else the length
  Duration off = Duration::from_ms(1000);
  bool exponential = true;
  // What it produces while on, in whole packets; 0: as much as the window admits.
  Bandwidth rate;
};
using AppConfig = std::variant<BulkApp, FixedSizeApp, OnOffApp>;

}  // namespace mvfstrl
