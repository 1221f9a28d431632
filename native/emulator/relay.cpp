#include "emulator/relay.h"

#include <algorithm>
#include <iterator>

namespace mvfstrl {
namespace {

// Datagrams of lost packets that may wait to be swept up, beyond as many as are inside.
constexpr std::int64_t kSweepAbove = 256;

}  // namespace

Relay::Relay(const DirectionConfig& config, Direction::Order order, Rng rng, std::int64_t overhead_bytes,
             DatagramPool& pool)
    : direction_(config, order, rng),
      overhead_bytes_(static_cast<std::uint32_t>(overhead_bytes)),
      duplicates_(config.duplication > 0),
      pool_(pool) {
  direction_.record(&events_);
}

Relay::~Relay() {
  for (Datagram* datagram : held_) pool_.give(datagram);
}

void Relay::enter(TimePoint at, Datagram* datagram) {
  latest_ = std::max(latest_, at);
  Packet packet;
  packet.id = reinterpret_cast<std::uintptr_t>(datagram);
  packet.size_bytes = datagram->size + overhead_bytes_;
  if (!direction_.enter(latest_, packet)) return pool_.give(datagram);
  hold(datagram);
  if (std::ssize(held_) > 2 * inside() + kSweepAbove) sweep();
}

Datagram* Relay::advance(TimePoint until, TimePoint& due) {
  Packet packet;
  for (due = direction_.next_event(); due <= until; due = direction_.next_event()) {
    latest_ = std::max(latest_, due);
    if (!direction_.advance(latest_, packet)) continue;
    if (!packet.copy) {
      delivered_.add(packet.size_bytes);
      sojourn_.add(packet.left - packet.entered);
    }
    if (!duplicates_) release(datagram_of(packet));
    return datagram_of(packet);
  }
  return nullptr;
}

std::int64_t Relay::inside() const {
  const DirectionCounters& c = direction_.counters();
  return c.entered.packets + c.duplicated.packets - c.delivered.packets - c.queue_drops.packets -
         c.random_losses.packets;
}

void Relay::hold(Datagram* datagram) {
  datagram->place = static_cast<std::uint32_t>(held_.size());
  datagram->marked = false;
  held_.push_back(datagram);
}

void Relay::release(Datagram* datagram) {
  held_[datagram->place] = held_.back();
  held_[datagram->place]->place = datagram->place;
  held_.pop_back();
  pool_.give(datagram);
}

void Relay::sweep() {
  direction_.visit_inside([](const Packet& packet) { datagram_of(packet)->marked = true; });
  for (std::size_t i = held_.size(); i-- > 0;) {
    if (held_[i]->marked) {
      held_[i]->marked = false;
    } else {
      release(held_[i]);
    }
  }
}

void Relay::settle(PathLog* log, LinkSeries* series) {
  for (const LinkEvent& event : events_) {
    if (event.kind == LinkEvent::Kind::kDeparture) link_bytes_ += ByteCount(event.size_bytes);
    if (log != nullptr) log->write(event);
    if (series != nullptr) series->add(event);
  }
  events_.clear();
}

}  // namespace mvfstrl
