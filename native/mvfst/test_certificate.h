// A certificate for tests and its key, made on the spot: two PEM files that are gone with it.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

namespace mvfstrl::test {

class CertificateFiles {
 public:
  // `name`: whose it is, and part of the files' names.
  explicit CertificateFiles(const std::string& name)
      : certificate(testing::TempDir() + "/" + name + "-" + std::to_string(getpid()) + ".pem"),
        key(certificate + ".key") {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), X509_free);
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
    X509_set_pubkey(made.get(), pair.get());
    X509_NAME* const subject = X509_get_subject_name(made.get());
    const auto* const text = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(made.get(), subject);
    EXPECT_GT(X509_sign(made.get(), pair.get(), EVP_sha256()), 0);
    write(certificate, [&](std::FILE* file) { return PEM_write_X509(file, made.get()); });
    write(key, [&](std::FILE* file) {
      return PEM_write_PrivateKey(file, pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;
  ~CertificateFiles() {
    std::remove(certificate.c_str());
    std::remove(key.c_str());
  }

  const std::string certificate, key;

 private:
  template <class Put>
  static void write(const std::string& path, Put put) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr) << path;
    EXPECT_EQ(put(file), 1) << path;
    std::fclose(file);
  }
};

}  // namespace mvfstrl::test
