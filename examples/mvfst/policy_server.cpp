// An mvfst server whose connections an exported policy drives.
//
//     policy_server policy.mvfstrl 4433
#include <mvfst/factory.h>
#include <mvfst/tls.h>

#include <cstdio>
#include <cstdlib>

#include "existing_server.h"

int main(int count, char** words) try {
  if (count != 3) return std::fputs("usage: policy_server POLICY PORT\n", stderr), 2;
  const auto server = quic::QuicServer::createQuicServer(quic::TransportSettings{});
  server->setQuicServerTransportFactory(std::make_unique<Greetings>());
  server->setFizzContext(mvfstrl::server_context("", ""));  // a certificate made now: use your own
  // The line that matters. A GuardConfig says who takes over when the policy misbehaves; else it is CUBIC.
  server->setCongestionControllerFactory(mvfstrl::make_policy_factory(words[1]));
  server->start(quic::SocketAddress("127.0.0.1", static_cast<std::uint16_t>(std::atoi(words[2]))), 1);
  server->waitUntilInitialized();
  std::printf("listening on port %d\n", static_cast<int>(server->getAddress().getPort()));
  std::fflush(stdout);
  std::getchar();  // until its input ends
  server->shutdown();
} catch (const std::exception& error) {
  return std::fprintf(stderr, "error: %s\n", error.what()), 1;
}
