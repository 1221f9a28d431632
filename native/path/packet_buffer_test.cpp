#include "path/packet_buffer.h"

#include <gtest/gtest.h>

namespace mvfstrl {
namespace {

Packet packet(std::uint64_t id) {
  return {.id = id, .entered = {}, .left = {}, .flow = 0, .copy = false, .size_bytes = 100};
}

TEST(PacketBuffer, KeepsWaitingSentAndDepartedApart) {
  PacketBuffer buffer;
  for (std::uint64_t id = 0; id < 4; ++id) buffer.push(packet(id), TimePoint::from_ms(1));
  buffer.send(buffer.pop());
  buffer.depart(TimePoint::from_ms(2));
  buffer.send(buffer.pop());
  EXPECT_EQ(buffer.packets(), 2);
  EXPECT_EQ(buffer.bytes(), 200);
  EXPECT_EQ(buffer[0].id, 2u);
  EXPECT_EQ(buffer.sending().id, 1u);
  ASSERT_EQ(buffer.departed(), 1u);
  const Packet& first = buffer.deliver();
  EXPECT_EQ(first.id, 0u);
  EXPECT_EQ(first.entered, TimePoint::from_ms(1));
  EXPECT_EQ(first.left, TimePoint::from_ms(2));
  EXPECT_TRUE(buffer.none_departed());
}

// Every second packet is dropped from the head, while others wait on every side of the gap.
TEST(PacketBuffer, ReusesTheSlotsOfTheDroppedInOrder) {
  PacketBuffer buffer;
  std::uint64_t pushed = 0;
  std::uint64_t dropped = 0;
  std::uint64_t sent = 1;
  std::uint64_t delivered = 1;
  for (int i = 0; i < 6; ++i) buffer.push(packet(pushed++), TimePoint());
  for (int round = 0; round < 1000; ++round) {
    buffer.push(packet(pushed++), TimePoint());
    buffer.push(packet(pushed++), TimePoint());
    if (round > 0) {
      ASSERT_EQ(buffer.sending().id, sent);
      sent += 2;
      buffer.depart(TimePoint());
    }
    ASSERT_EQ(buffer.pop().id, dropped);
    dropped += 2;
    buffer.send(buffer.pop());
    if (round < 5) continue;  // keep some on their way
    ASSERT_EQ(buffer.deliver().id, delivered);
    delivered += 2;
  }
  EXPECT_EQ(buffer.packets(), 6);
  EXPECT_EQ(buffer.departed(), 4u);
  EXPECT_LE(buffer.capacity_bytes(), 32 * sizeof(Packet)) << "eleven at a time";
}

}  // namespace
}  // namespace mvfstrl
