#include "host/ledger.h"

#include <algorithm>
#include <utility>

#include "congestion/persistent_congestion.h"

namespace mvfstrl {

PacketLedger::PacketLedger(std::int32_t persistent_congestion_threshold)
    : persistent_congestion_threshold_(persistent_congestion_threshold) {}

std::optional<SentPacket> PacketLedger::packet_sent(TimePoint now, const HostedPacket& packet) {
  if (packet.number < next_number_) {
    ++counters_.misnumbered;
    return std::nullopt;
  }
  next_number_ = packet.number + 1;
  if (stats_.packets_in_flight == 0) {
    delivery_.flight_start = now;
    note_delivery();
  }
  stats_.bytes_sent += packet.size;
  stats_.bytes_in_flight += packet.size;
  ++stats_.packets_sent;
  ++stats_.packets_in_flight;
  stats_.bytes_retransmitted += packet.retransmitted;
  if (packet.retransmitted > ByteCount::zero() && stats_.pto_count > 0) ++stats_.timeout_based_rtx_count;
  records_.push({.number = packet.number,
                 .sent_time = now,
                 .sent_bytes = stats_.bytes_sent,
                 .size = packet.size,
                 .delivery = deliveries_.current(),
                 .app_limited = packet.app_limited});
  return SentPacket{now, packet.number, packet.size, stats_.bytes_in_flight, packet.app_limited};
}

void PacketLedger::packet_discarded(std::uint64_t number) {
  Record* record = find(number);
  if (record == nullptr) return;
  if (record->fate != Fate::kInFlight) {
    ++counters_.repeated;
    return;
  }
  discard(*record);
}

void PacketLedger::shrink_flight(ByteCount bytes) {
  for (std::size_t i = 0; i < records_.size() && stats_.bytes_in_flight > bytes; ++i) {
    if (records_[i].fate == Fate::kInFlight) discard(records_[i]);
  }
}

void PacketLedger::rtt_sample(Duration latest, Duration ack_delay) {
  if (latest <= Duration::zero()) return;
  ack_delay_ = std::max(ack_delay, Duration::zero());
  sample_ = latest;
  rtt_.update(latest, ack_delay_);
}

void PacketLedger::probe_timeout() {
  ++stats_.pto_count;
  ++stats_.total_pto_count;
}

bool PacketLedger::flush(TimePoint now) {
  const ByteCount prior_in_flight = stats_.bytes_in_flight;
  ack_.acked_bytes = loss_.lost_bytes = ByteCount::zero();
  acked_.clear();
  lost_.clear();
  book_acked();
  book_lost();
  const std::optional<Duration> sample = std::exchange(sample_, std::nullopt);
  const Duration ack_delay = std::exchange(ack_delay_, Duration::zero());
  if (acked_.empty() && lost_.empty()) return false;
  if (!acked_.empty()) {
    stats_.pto_count = 0;
    delivery_.delivered = stats_.bytes_acked;
    delivery_.sent = stats_.bytes_sent;
    delivery_.ack_time = now;
    delivery_.received_time = now - ack_delay;
    delivery_.acked_sent_time = acked_.back().sent_time;
  }
  delivery_.lost = stats_.bytes_lost;
  const std::uint64_t largest_sent = next_number_ - 1;
  ack_ = {now,    acked_,       ack_.acked_bytes, prior_in_flight, stats_.bytes_in_flight,
          sample, largest_sent, ack_delay,        delivery_};
  loss_ = {now, lost_, loss_.lost_bytes, prior_in_flight, largest_sent, false, delivery_};
  if (!lost_.empty() && rtt_.has_sample() &&
      is_persistent_congestion(acked_, lost_, rtt_.probe_timeout() * persistent_congestion_threshold_)) {
    loss_.persistent = true;
    ++stats_.persistent_congestion_count;
  }
  return true;
}

void PacketLedger::book_acked() {
  std::sort(acked_numbers_.begin(), acked_numbers_.end());
  for (const std::uint64_t number : acked_numbers_) {
    Record* record = find(number);
    if (record == nullptr) continue;
    if (record->fate == Fate::kInFlight) {
      leave_flight(*record);
      ++stats_.packets_acked;
      stats_.bytes_acked += record->size;
      ack_.acked_bytes += record->size;
      acked_.push_back(describe<AckedPacket>(*record));
    } else if (record->fate == Fate::kLost) {
      ++stats_.packets_spuriously_lost;
    } else {
      ++counters_.repeated;
    }
    record->fate = Fate::kSettled;
  }
  acked_numbers_.clear();
}

void PacketLedger::book_lost() {
  std::sort(lost_numbers_.begin(), lost_numbers_.end());
  for (const std::uint64_t number : lost_numbers_) {
    Record* record = find(number);
    if (record == nullptr) continue;
    if (record->fate != Fate::kInFlight) {
      ++counters_.repeated;
      continue;
    }
    leave_flight(*record);
    record->fate = Fate::kLost;
    ++stats_.packets_lost;
    ++stats_.rtx_count;
    stats_.bytes_lost += record->size;
    loss_.lost_bytes += record->size;
    lost_.push_back(describe<LostPacket>(*record));
  }
  lost_numbers_.clear();
}

void PacketLedger::settle() {
  note_delivery();
  const TimePoint now = ack_.now;
  acked_.clear();
  lost_.clear();
  // The acknowledgement of a lost packet that has not come within a probe timeout will not come.
  const Duration patience = rtt_.probe_timeout();
  while (!records_.empty()) {
    const Record& oldest = records_.front();
    if (oldest.fate == Fate::kInFlight) return;
    if (oldest.fate == Fate::kLost && now - oldest.sent_time <= patience) return;
    records_.pop();
  }
}

void PacketLedger::set_window(ByteCount window) {
  stats_.congestion_window = window;
  stats_.writable = std::max(ByteCount::zero(), window - stats_.bytes_in_flight);
}

// Numbers without gaps put the packet right where the first guess looks; gaps, before it.
PacketLedger::Record* PacketLedger::find(std::uint64_t number) {
  if (!records_.empty() && number >= records_.front().number) {
    std::size_t high = static_cast<std::size_t>(
        std::min<std::uint64_t>(number - records_.front().number, records_.size() - 1));
    if (records_[high].number == number) return &records_[high];
    std::size_t low = 0;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (records_[middle].number < number) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (records_[low].number == number) return &records_[low];
  }
  ++counters_.unknown;
  return nullptr;
}

template <class Packet>
Packet PacketLedger::describe(const Record& record) const {
  return {record.number,      record.sent_time,  record.size,
          record.app_limited, record.sent_bytes, &deliveries_[record.delivery]};
}

void PacketLedger::leave_flight(const Record& record) {
  --stats_.packets_in_flight;
  stats_.bytes_in_flight -= record.size;
}

void PacketLedger::discard(Record& record) {
  leave_flight(record);
  record.fate = Fate::kSettled;
  ++discarded_;
}

// Packets sent from now on keep the present state.
void PacketLedger::note_delivery() {
  deliveries_.push(delivery_, records_.empty() ? deliveries_.current() : records_.front().delivery);
}

}  // namespace mvfstrl
