// TLS 1.3 for both ends, by fizz.
#pragma once

#include <fizz/server/FizzServerContext.h>
#include <quic/client/handshake/ClientHandshakeFactory.h>

#include <memory>
#include <string>

namespace mvfstrl {

// A client that trusts what is in `ca_file` (PEM), or anyone where that is empty. No name is compared: the
// file says whom. Throws ConnectionError naming the file.
std::shared_ptr<quic::ClientHandshakeFactory> client_handshake(const std::string& ca_file);

// A server that shows this certificate (PEM); both empty: one that is made now. Throws ConnectionError naming
// the file.
std::shared_ptr<fizz::server::FizzServerContext> server_context(const std::string& certificate_file,
                                                                const std::string& key_file);

}  // namespace mvfstrl
