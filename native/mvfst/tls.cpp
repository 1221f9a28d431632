#include "mvfst/tls.h"

#include <fizz/backend/openssl/certificate/CertUtils.h>
#include <fizz/client/FizzClientContext.h>
#include <fizz/protocol/CertificateVerifier.h>
#include <fizz/protocol/DefaultCertificateVerifier.h>
#include <fizz/protocol/clock/SystemClock.h>
#include <fizz/server/DefaultCertManager.h>
#include <fizz/util/Status.h>
#include <folly/ssl/OpenSSLPtrTypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <quic/fizz/client/handshake/FizzClientQuicHandshakeContext.h>
#include <quic/fizz/handshake/QuicFizzFactory.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>

#include "mvfst/sender.h"

namespace mvfstrl {
namespace {

constexpr const char* kAlpn = "mvfst-rl";  // the one of mvfstrl/realtime/endpoints.py
constexpr long kValiditySeconds = 30L * 24 * 3600;

std::string read_file(const std::string& path) {
  if (std::filesystem::is_directory(path)) throw ConnectionError(path + ": is a folder");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw ConnectionError(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(stream), {}};
}

void check(fizz::Status status, fizz::Error& error) {
  if (status == fizz::Status::Fail) error.throwException();
}

std::shared_ptr<const fizz::CertificateVerifier> verifier(const std::string& ca_file) {
  constexpr auto kClient = fizz::VerificationContext::Client;
  if (ca_file.empty()) return std::make_shared<fizz::InsecureCertificateVerifier>(kClient);
  const std::string text = read_file(ca_file);
  const folly::ssl::BioUniquePtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (folly::ssl::X509UniquePtr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) == nullptr) {
    throw ConnectionError(ca_file + ": holds no certificate (PEM)");
  }
  try {
    fizz::Error error;
    std::unique_ptr<fizz::DefaultCertificateVerifier> made;
    check(fizz::DefaultCertificateVerifier::createFromCAFile(made, error, kClient, ca_file), error);
    return made;
  } catch (const std::exception& problem) {
    throw ConnectionError(ca_file + ": cannot be trusted: " + problem.what());
  }
}

// A key that nobody has seen, and a certificate that it signs itself.
std::unique_ptr<fizz::SelfCert> made_certificate() {
  folly::ssl::EvpPkeyUniquePtr key(EVP_EC_gen("P-256"));
  folly::ssl::X509UniquePtr certificate(X509_new());
  if (key == nullptr || certificate == nullptr) throw ConnectionError("no certificate could be made");
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValiditySeconds);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  const auto* const text = reinterpret_cast<const unsigned char*>(kAlpn);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) {
    throw ConnectionError("a certificate could not be signed");
  }
  std::vector<folly::ssl::X509UniquePtr> chain;
  chain.push_back(std::move(certificate));
  fizz::Error error;
  std::unique_ptr<fizz::SelfCert> made;
  check(fizz::openssl::CertUtils::makeSelfCert(made, error, std::move(chain), std::move(key)), error);
  return made;
}

std::unique_ptr<fizz::SelfCert> read_certificate(const std::string& certificate_file,
                                                 const std::string& key_file) {
  const std::string certificate = read_file(certificate_file), key = read_file(key_file);
  try {
    fizz::Error error;
    std::unique_ptr<fizz::SelfCert> made;
    check(fizz::openssl::CertUtils::makeSelfCert(made, error, certificate, key), error);
    return made;
  } catch (const std::exception& problem) {
    throw ConnectionError(certificate_file + ", " + key_file +
                          ": no certificate and its key (PEM): " + problem.what());
  }
}

}  // namespace

std::shared_ptr<quic::ClientHandshakeFactory> client_handshake(const std::string& ca_file) {
  auto context = std::make_shared<fizz::client::FizzClientContext>();
  context->setFactory(std::make_shared<quic::QuicFizzFactory>());
  context->setSupportedAlpns({kAlpn});
  context->setOmitEarlyRecordLayer(true);
  return quic::FizzClientQuicHandshakeContext::Builder()
      .setFizzClientContext(std::move(context))
      .setCertificateVerifier(verifier(ca_file))
      .build();
}

std::shared_ptr<fizz::server::FizzServerContext> server_context(const std::string& certificate_file,
                                                                const std::string& key_file) {
  if (certificate_file.empty() != key_file.empty()) {
    throw std::invalid_argument("certificate and key: both are needed, or neither");
  }
  auto manager = std::make_shared<fizz::server::DefaultCertManager>();
  manager->addCertAndSetDefault(std::shared_ptr<fizz::SelfCert>(
      certificate_file.empty() ? made_certificate() : read_certificate(certificate_file, key_file)));
  auto context = std::make_shared<fizz::server::FizzServerContext>();
  context->setFactory(std::make_shared<quic::QuicFizzFactory>());
  context->setCertManager(std::move(manager));
  context->setOmitEarlyRecordLayer(true);
  context->setClock(std::make_shared<fizz::SystemClock>());
  context->setSupportedAlpns({kAlpn});
  return context;
}

}  // namespace mvfstrl
