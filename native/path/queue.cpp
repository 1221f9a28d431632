#include "path/queue.h"

namespace mvfstrl {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

}  // namespace

Queue::Discipline Queue::make_discipline(const QueueConfig& config, Rng rng) {
  validate(config);
  const bool mahimahi = config.flavour == QueueFlavour::kMahimahi;
  switch (config.kind) {
    case QueueKind::kCodel:
      if (mahimahi) return MahimahiCodel(config.codel);
      return Codel(config.codel);
    case QueueKind::kPie:
      if (mahimahi) return MahimahiPie(config.pie, rng);
      return Pie(config.pie, rng);
    case QueueKind::kInfinite:
    case QueueKind::kDropTail:
    case QueueKind::kDropHead:
      break;
  }
  return std::monostate{};
}

Queue::Queue(const QueueConfig& config, Rng rng)
    : plain_(config.kind == QueueKind::kInfinite || config.kind == QueueKind::kDropTail),
      max_packets_(config.packets.value_or(kUnlimited)),
      max_bytes_(config.bytes.value_or(kUnlimited)),
      discipline_(make_discipline(config, rng)) {}

void Queue::drop_from_head(Tally& drops) {
  while (buffer_.packets() > max_packets_ || buffer_.bytes() > max_bytes_)
    drops.add(buffer_.pop().size_bytes);
}

bool Queue::admit_managed(const Packet& packet, TimePoint at, Tally& drops) {
  if (std::holds_alternative<std::monostate>(discipline_)) {
    // Drop-head; the arrival itself falls only if it is larger than the whole buffer.
    buffer_.push(packet, at);
    drop_from_head(drops);
    return !buffer_.empty();
  }
  bool dropped = !has_room_for(packet);
  if (auto* pie = std::get_if<Pie>(&discipline_)) {
    dropped = pie->drops_arrival(at, buffer_) || dropped;
  } else if (auto* mahimahi_pie = std::get_if<MahimahiPie>(&discipline_)) {
    dropped = mahimahi_pie->drops_arrival(at, buffer_) || dropped;
  }
  if (dropped) {
    drops.add(packet.size_bytes);
    return false;
  }
  buffer_.push(packet, at);
  if (auto* codel = std::get_if<Codel>(&discipline_)) codel->on_admit(packet.size_bytes);
  return true;
}

bool Queue::send_managed(TimePoint now, Tally& drops) {
  Packet next;
  if (!take_managed(now, next, drops)) return false;
  buffer_.send(next);
  return true;
}

bool Queue::take_managed(TimePoint now, Packet& out, Tally& drops) {
  if (auto* codel = std::get_if<Codel>(&discipline_)) return codel->take(now, buffer_, out, drops);
  if (auto* mahimahi_codel = std::get_if<MahimahiCodel>(&discipline_)) {
    return mahimahi_codel->take(now, buffer_, out, drops);
  }
  if (auto* pie = std::get_if<Pie>(&discipline_)) pie->before_take(now, buffer_);
  if (buffer_.empty()) return false;
  out = buffer_.pop();
  if (auto* pie = std::get_if<Pie>(&discipline_)) pie->after_take(now - out.entered);
  if (auto* mahimahi_pie = std::get_if<MahimahiPie>(&discipline_)) {
    mahimahi_pie->after_take(now, buffer_, out.size_bytes);
  }
  return true;
}

}  // namespace mvfstrl
