// The program mvfstrl-traffic over loopback.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mvfst/test_certificate.h"
#include "tools/traffic_test_files.h"

namespace mvfstrl::tools {
namespace {

// What follows the first `mark`; nothing without one. (std::regex does not compile under GCC 12's
// sanitizers.)
std::string after(const std::string& text, const std::string& mark) {
  const std::size_t at = text.find(mark);
  return at == std::string::npos ? "" : text.substr(at + mark.size());
}

// A run of the program, whose output goes into two files.
class Program {
 public:
  // `summary`: another file for its standard output.
  explicit Program(std::vector<std::string> arguments, const std::string& summary = "") {
    static int runs = 0;
    name_ = testing::TempDir() + "/traffic-" + std::to_string(getpid()) + "-" + std::to_string(runs++);
    arguments.insert(arguments.begin(), MVFSTRL_TRAFFIC);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    process_ = fork();
    if (process_ == 0) {
      redirect(summary.empty() ? name_ + ".out" : summary, STDOUT_FILENO);
      redirect(name_ + ".err", STDERR_FILENO);
      execv(words[0], words.data());
      _exit(127);
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (process_ > 0) {
      signal(SIGKILL);
      wait();
    }
    std::filesystem::remove(name_ + ".out");
    std::filesystem::remove(name_ + ".err");
  }

  std::string out() const { return text(name_ + ".out"); }
  std::string err() const { return text(name_ + ".err"); }
  void signal(int number) const { kill(process_, number); }
  // The exit status; negative: the signal that ended it.
  int wait() {
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Of a server; empty where it does not come up.
  std::string port() const {
    for (int i = 0; i < 2000; ++i) {
      const std::string said = after(out() + err(), "port ");
      if (const std::size_t end = said.find('\n'); end != std::string::npos) return said.substr(0, end);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return "";
  }

 private:
  static void redirect(const std::string& file, int descriptor) {
    dup2(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), descriptor);
  }
  static std::string text(const std::string& file) {
    std::ostringstream all;
    all << std::ifstream(file).rdbuf();
    return all.str();
  }

  std::string name_;
  pid_t process_ = -1;
};

std::vector<std::string> server_words(const std::string& host) {
  return {"--mode=server", "--host=" + host, "--port=0"};
}

std::vector<std::string> long_client_words(const Program& server) {
  return {"--mode=client", "--insecure", "--port=" + server.port(), "--interval-s=0.1", "--duration-s=60"};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A number in a JSON object; -1 where it is not there.
double number_of(const std::string& json, const std::string& key) {
  const std::string value = after(json, "\"" + key + "\": ");
  return value.empty() ? -1 : std::strtod(value.c_str(), nullptr);
}

struct Outcome {
  int status;
  std::string out, err;
};

Outcome run(const std::vector<std::string>& words) {
  Program program(words);
  const int status = program.wait();
  return {status, program.out(), program.err()};
}
Outcome run_client(std::vector<std::string> words, const std::string& port,
                   const std::string& host = "127.0.0.1") {
  words.insert(words.begin(), {"--mode=client", "--insecure", "--host=" + host, "--port=" + port, "--json"});
  return run(words);
}

// Of progress: a few have been told.
void wait_for_lines(const Program& client) {
  const auto lines = [&client] {
    const std::string out = client.out();
    return std::count(out.begin(), out.end(), '\n');
  };
  for (int i = 0; i < 2000 && lines() < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

TEST(Traffic, ATransferArrivesWholeOverBothProtocols) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Program server(server_words(host));
    const Outcome sent = run_client({"--traffic=fixed", "--bytes=300000"}, server.port(), host);
    EXPECT_EQ(sent.status, 0) << sent.err;
    EXPECT_NE(sent.out.find("\"ended\": \"complete\""), std::string::npos) << sent.out;
    EXPECT_GE(number_of(sent.out, "acked_bytes"), 300'000);
    server.signal(SIGINT);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_NE(server.out().find("received      0.300 MB"), std::string::npos) << server.out();
  }
}

TEST(Traffic, EndsWithItsSummaryOnCtrlC) {
  Program server(server_words("127.0.0.1"));
  Program client({"--mode=client", "--insecure", "--port=" + server.port(), "--congestion=mvfst_cubic",
                  "--interval-s=0.2", "--duration-s=60"});
  wait_for_lines(client);
  client.signal(SIGINT);
  EXPECT_EQ(client.wait(), 0);
  EXPECT_NE(client.out().find("ended         interrupted"), std::string::npos) << client.out();
}

TEST(Traffic, ALostServerIsAnErrorWithASummary) {
  Program server(server_words("127.0.0.1"));
  Program client(long_client_words(server));
  wait_for_lines(client);
  server.signal(SIGKILL);
  EXPECT_EQ(client.wait(), 1);
  EXPECT_NE(client.out().find("ended         lost"), std::string::npos) << client.out();
  EXPECT_NE(client.err().find("error: the connection was lost: "), std::string::npos) << client.err();
}

// mvfst gives up after seven probes, which takes some 3 s here.
TEST(Traffic, AnOutageDoesNotEndAConnection) {
  Program server(server_words("127.0.0.1"));
  Program client(long_client_words(server));
  wait_for_lines(client);
  server.signal(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(5000));
  server.signal(SIGCONT);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  client.signal(SIGINT);
  EXPECT_EQ(client.wait(), 0) << client.err();
  EXPECT_TRUE(contains(client.out(), "ended         interrupted")) << client.out();
}

TEST(Traffic, NobodyListeningIsAnError) {
  std::string port;
  {
    Program server(server_words("127.0.0.1"));
    port = server.port();
  }
  const Outcome sent = run_client({"--patience-s=0.5"}, port);
  EXPECT_EQ(sent.status, 1);
  EXPECT_NE(sent.err.find("error: no QUIC connection to 127.0.0.1 port " + port), std::string::npos)
      << sent.err;
}

TEST(Traffic, ServersAndClientsSayWhatTheyCannotUse) {
  Program server(server_words("127.0.0.1"));
  const std::string port = server.port();
  Program second({"--mode=server", "--port=" + port});
  EXPECT_EQ(second.wait(), 1);
  EXPECT_NE(second.err().find("error: cannot listen on 127.0.0.1"), std::string::npos) << second.err();
  Program stranger({"--mode=client", "--ca=/no/such.pem", "--port=" + port});
  EXPECT_EQ(stranger.wait(), 1);
  EXPECT_NE(stranger.err().find("/no/such.pem"), std::string::npos) << stranger.err();
  Program named({"--mode=client", "--insecure", "--host=localhost", "--port=" + port});
  EXPECT_EQ(named.wait(), 2);
  EXPECT_NE(named.err().find("localhost"), std::string::npos) << named.err();
  const Outcome policy = run_client({"--policy=/no/such.mvfstrl"}, port);
  EXPECT_EQ(policy.status, 2);
  EXPECT_NE(policy.err.find("error: /no/such.mvfstrl"), std::string::npos) << policy.err;
}

TEST(Traffic, AClientTrustsTheCertificateThatItIsTold) {
  const test::CertificateFiles own("own"), other("other");
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Program server({"--mode=server", "--host=" + host, "--port=0", "--certificate=" + own.certificate,
                    "--key=" + own.key});
    const std::string where = "--port=" + server.port();
    const std::vector<std::string> words{"--mode=client", "--host=" + host,  where,
                                         "--json",        "--traffic=fixed", "--bytes=20000"};
    const auto trusting = [&](const std::string& certificate) {
      std::vector<std::string> more = words;
      more.push_back("--ca=" + certificate);
      return run(more);
    };
    const Outcome trusted = trusting(own.certificate);
    EXPECT_EQ(trusted.status, 0) << trusted.err;
    EXPECT_TRUE(contains(trusted.out, "\"ended\": \"complete\"")) << trusted.out;
    const Outcome strange = trusting(other.certificate);
    EXPECT_EQ(strange.status, 1);
    EXPECT_TRUE(contains(strange.err, "error: no QUIC connection to " + host)) << strange.err;
    EXPECT_TRUE(contains(strange.err, "certificate")) << strange.err;
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_TRUE(contains(server.out(), "received      0.020 MB")) << server.out();
  }
}

TEST(Traffic, CertificatesThatCannotBeUsedAreNamed) {
  const test::CertificateFiles own("own"), other("other");
  const test::TemporaryFile torn = test::half_of(own.certificate, "torn.pem");
  const test::TemporaryFile torn_key = test::half_of(own.key, "torn.key");
  const auto serve = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"--mode=server", "--port=0", "--duration-s=1"});
    return run(words);
  };
  const Outcome lone = serve({"--certificate=" + own.certificate});
  EXPECT_EQ(lone.status, 2);
  EXPECT_EQ(lone.err, "error: --certificate: needs its --key\n");
  for (const auto& [certificate, key] :
       std::vector<std::pair<std::string, std::string>>{{torn.path, own.key},
                                                        {own.certificate, torn_key.path},
                                                        {own.certificate, other.key},
                                                        {own.key, own.certificate},
                                                        {"/no/such.pem", own.key},
                                                        {"/", own.key},
                                                        {own.certificate, "/no/such.pem"}}) {
    const Outcome refused = serve({"--certificate=" + certificate, "--key=" + key});
    EXPECT_EQ(refused.status, 1) << certificate << " " << key;
    EXPECT_EQ(refused.err.find("error: "), 0U);
    EXPECT_TRUE(contains(refused.err, certificate + ":") || contains(refused.err, key + ":")) << refused.err;
  }
  const Outcome client = run({"--mode=client", "--ca=" + torn.path});
  EXPECT_EQ(client.status, 1);
  EXPECT_EQ(client.err, "error: " + torn.path + ": holds no certificate (PEM)\n");
  EXPECT_EQ(run({"--mode=client", "--ca=/"}).err, "error: /: is a folder\n");
}

// Nobody listens: what is wrong is said before anybody is called.
TEST(Traffic, APolicyOfAnotherSpecIsRefusedBeforeItConnects) {
  for (const auto& [ours, theirs] : {std::pair("rtt_min.mean", "rtt_max.mean"), std::pair("+10", "+20")}) {
    const test::TemporaryFile file = test::policy_of_another_spec("other.mvfstrl", ours, theirs);
    const Outcome refused = run_client({"--policy=" + file.path, "--patience-s=5"}, "1");
    EXPECT_EQ(refused.status, 2);
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(refused.err.find("error: " + file.path + ": made for another observation or action spec:\n"),
              0U)
        << refused.err;
    EXPECT_TRUE(contains(refused.err, theirs)) << refused.err;
  }
}

TEST(Traffic, WhatCannotBeWrittenIsAnError) {
  Program server(server_words("127.0.0.1"));
  const std::string port = "--port=" + server.port();
  const Outcome nowhere = run({"--mode=client", "--insecure", port, "--qlog=/no/such"});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_EQ(nowhere.err, "error: --qlog: there is no folder '/no/such'\n");
  EXPECT_EQ(run({"--mode=server", "--port=0", "--qlog=/no/such"}).status, 2);
  if (!std::filesystem::exists("/dev/full")) return;
  Program client({"--mode=client", "--insecure", port, "--traffic=fixed", "--bytes=2000", "--json"},
                 "/dev/full");
  EXPECT_EQ(client.wait(), 1);
  EXPECT_TRUE(contains(client.err(), "error: the summary cannot be written: ")) << client.err();
}

TEST(Traffic, HelpIsNoError) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_EQ(help.out.find("mvfstrl-traffic: "), 0U) << help.out;
  EXPECT_EQ(help.err, "");
}

TEST(Traffic, APolicyDrivesAndItsGuardTakesOver) {
  const test::TemporaryFile file = test::small_policy("drives.mvfstrl");
  Program server(server_words("127.0.0.1"));
  const std::string port = server.port();
  const Outcome healthy = run_client({"--policy=" + file.path, "--duration-s=1.5"}, port);
  EXPECT_EQ(healthy.status, 0) << healthy.err;
  EXPECT_GE(number_of(healthy.out, "decisions"), 8);
  // No answer is that quick.
  const Outcome late =
      run_client({"--policy=" + file.path, "--duration-s=1", "--max-latency-ms=0.000001"}, port);
  EXPECT_EQ(late.status, 0) << late.err;
  EXPECT_EQ(number_of(late.out, "late"), 1) << late.out;
  EXPECT_GT(number_of(late.out, "fallback_share"), 0.5);
  const Outcome alone = run_client({"--policy=" + file.path, "--duration-s=0.5", "--no-guard"}, port);
  EXPECT_EQ(alone.out.find("\"guard\""), std::string::npos);
}

TEST(Traffic, BurstsSendWhatTheirRateSays) {
  Program server(server_words("127.0.0.1"));
  const Outcome sent = run_client({"--traffic=on_off", "--on-ms=50", "--off-ms=50", "--rate-mbps=4",
                                   "--regular", "--duration-s=2", "--gso", "--pacing=always"},
                                  server.port());
  EXPECT_EQ(sent.status, 0) << sent.err;
  EXPECT_NEAR(number_of(sent.out, "goodput_mbps"), 2, 0.4) << sent.out;
}

TEST(Traffic, BothEndsLeaveAQlog) {
  const std::string folder = testing::TempDir() + "/traffic-qlog-" + std::to_string(getpid());
  const std::vector<std::string> ends{folder + "/server", folder + "/client"};
  for (const std::string& end : ends) std::filesystem::create_directories(end);
  {
    Program server({"--mode=server", "--port=0", "--qlog=" + ends[0]});
    const Outcome sent = run_client({"--traffic=fixed", "--bytes=20000", "--qlog=" + ends[1]}, server.port());
    EXPECT_EQ(sent.status, 0) << sent.err;
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
  }
  for (const std::string& end : ends) {
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(end)) bytes += entry.file_size();
    EXPECT_GT(bytes, 1000U) << end;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mvfstrl::tools
