// Ports and batches on the system's sockets.
#include "emulator/udp_port.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "emulator/test_endpoint.h"

namespace mvfstrl {
namespace {

struct Batches {
  Datagram* made(const std::string& text) {
    Datagram* const datagram = pool.take();
    datagram->size = static_cast<std::uint32_t>(text.size());
    std::memcpy(datagram->bytes.data(), text.data(), text.size());
    return datagram;
  }

  DatagramPool pool{256};
  ReceiveBatch in{pool};
  SendBatch out;
};

TEST(UdpClientPort, AnswersWhoeverSentLast) {
  UdpClientPort port(Address::parse("127.0.0.1"));
  EXPECT_FALSE(port.addressed());
  TestEndpoint first, second;
  Batches batches;
  const auto expect_answer = [&](const std::string& text, TestEndpoint& to) {
    batches.out.add(*batches.made(text), TimePoint::zero());
    EXPECT_EQ(port.write(batches.out), 0);
    const auto answer = to.receive();
    ASSERT_TRUE(answer) << text;
    EXPECT_EQ(answer->text, text);
  };
  first.send("one", port.address());
  second.send("two", port.address());
  ASSERT_EQ(port.read(batches.in), 2);
  EXPECT_TRUE(port.addressed());
  expect_answer("to the second", second);
  first.send("three", port.address());
  ASSERT_EQ(port.read(batches.in), 1);
  expect_answer("to the first again", first);
}

TEST(ReceiveBatch, ADatagramArrivesWhenItCameAndNotWhenItIsRead) {
  const UdpSocket socket = UdpSocket::bound(Address::parse("127.0.0.1"));
  TestEndpoint sender;
  Batches batches;
  const TimePoint before = monotonic_now();
  sender.send("x", socket.local());
  const TimePoint after = monotonic_now();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  StampClock clock;
  clock.refresh();
  ASSERT_EQ(batches.in.read(socket), 1);
  const TimePoint arrived = batches.in.arrived(0, clock);
  constexpr Duration kSteps = Duration::from_ms(1);  // of a clock that somebody corrects
  EXPECT_GE(arrived, before - kSteps);
  EXPECT_LE(arrived, after + kSteps);
}

TEST(SendBatch, TellsWhatMetNobodyAndSendsTheRest) {
  std::optional<TestEndpoint> peer(std::in_place);
  const Address address = peer->address();
  const UdpSocket socket = UdpSocket::connected(address);
  Batches batches;
  peer.reset();
  batches.out.add(*batches.made("lost"), TimePoint::from_ms(1));
  EXPECT_EQ(batches.out.write(socket, nullptr), 0);  // nothing is known of it yet
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  peer.emplace(address);
  batches.out.add(*batches.made("first"), TimePoint::from_ms(2));
  batches.out.add(*batches.made("second"), TimePoint::from_ms(3));
  EXPECT_EQ(batches.out.write(socket, nullptr), 1);
  for (const std::string text : {"first", "second"}) {
    const auto received = peer->receive();
    ASSERT_TRUE(received) << text;
    EXPECT_EQ(received->text, text);
  }
  ASSERT_EQ(batches.out.due().size(), 2U);
  EXPECT_EQ(batches.out.due()[0], TimePoint::from_ms(2));
  EXPECT_EQ(batches.out.due()[1], TimePoint::from_ms(3));
  EXPECT_TRUE(batches.out.empty());
}

TEST(UdpSocket, CountsWhatItHadNoRoomFor) {
  const UdpSocket socket = UdpSocket::bound(Address::parse("127.0.0.1"));
  int room = 0;
  socklen_t size = sizeof(room);
  ASSERT_EQ(getsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &room, &size), 0);
  int most = 0;  // what anybody may have
  std::ifstream("/proc/sys/net/core/rmem_max") >> most;
  EXPECT_GE(room, 2 * std::min(most, 8 << 20));
  EXPECT_EQ(socket.overruns(), 0);
  TestEndpoint sender;
  const std::string text(1400, 'x');
  std::int64_t sent = 0;
  while (socket.overruns() == 0 && sent < 100'000) {
    for (int i = 0; i < 100; ++i, ++sent) sender.send(text, socket.local());
  }
  const std::int64_t lost = socket.overruns();
  EXPECT_GT(lost, 0);
  Batches batches;
  std::int64_t read = 0;
  for (int count = 0; (count = batches.in.read(socket)) > 0;) read += count;
  EXPECT_EQ(read + lost, sent);
}

}  // namespace
}  // namespace mvfstrl
