// What a path does to packets behind its link beyond a constant delay: delay that varies, reordering,
// duplication. See DelayVariation, Reordering and DirectionConfig (config.h).
#pragma once

#include "common/ring.h"
#include "common/rng.h"
#include "common/units.h"
#include "path/config.h"
#include "path/packet.h"
#include "path/tally.h"

namespace mvfstrl {

// Whether a path needs one at all.
bool has_detour(const DirectionConfig& config);

// Packets keep their order, except that those picked for reordering are overtaken by others; they keep an
// order of their own. Where a delay that falls would change an order, it is stretched. So both kinds wait in
// rings.
class Detour {
 public:
  Detour(const DirectionConfig& config, Rng rng);

  // A packet that would be delivered at `due`, had the path no detour; `due` never decreases. Copies are
  // added to `duplicated`.
  void admit(TimePoint due, const Packet& packet, Tally& duplicated);
  // When the next packet comes out; never() while nothing is inside.
  TimePoint next() const;
  // Needs next() <= now.
  Packet take();

  // Calls visit(packet) for each packet inside.
  template <class Visit>
  void visit_inside(Visit visit) const {
    for (const Ring<Held>* ring : {&steady_, &late_}) {
      for (std::size_t i = 0; i < ring->size(); ++i) visit((*ring)[i].packet);
    }
  }
  Tally copies_inside() const;
  std::size_t capacity_bytes() const { return steady_.capacity_bytes() + late_.capacity_bytes(); }

 private:
  struct Held {
    TimePoint due;
    Packet packet;
  };

  void hold(TimePoint due, const Packet& packet);
  // Of the variation, for a packet due at `due`.
  Duration extra(TimePoint due);

  DelayVariation variation_;
  Reordering reordering_;
  double duplication_;
  Rng step_rng_, jitter_rng_, reorder_rng_, duplicate_rng_;
  TimePoint step_end_;
  Duration step_;
  TimePoint latest_;       // when the last packet comes out that was not picked,
  TimePoint latest_late_;  // and that was
  Ring<Held> steady_;
  Ring<Held> late_;
};

}  // namespace mvfstrl
