// The program mvfstrl-traffic over loopback.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "policy/test_network.h"

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
  explicit Program(std::vector<std::string> arguments) {
    static int runs = 0;
    name_ = testing::TempDir() + "/traffic-" + std::to_string(getpid()) + "-" + std::to_string(runs++);
    arguments.insert(arguments.begin(), MVFSTRL_TRAFFIC);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    process_ = fork();
    if (process_ == 0) {
      redirect(name_ + ".out", STDOUT_FILENO);
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

// A number in a JSON object; -1 where it is not there.
double number_of(const std::string& json, const std::string& key) {
  const std::string value = after(json, "\"" + key + "\": ");
  return value.empty() ? -1 : std::strtod(value.c_str(), nullptr);
}

struct Outcome {
  int status;
  std::string out, err;
};

Outcome run_client(std::vector<std::string> words, const std::string& port,
                   const std::string& host = "127.0.0.1") {
  words.insert(words.begin(), {"--mode=client", "--insecure", "--host=" + host, "--port=" + port, "--json"});
  Program program(words);
  const int status = program.wait();
  return {status, program.out(), program.err()};
}

TEST(Traffic, ATransferArrivesWholeOverBothProtocols) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Program server(server_words(host));
    const Outcome run = run_client({"--traffic=fixed", "--bytes=300000"}, server.port(), host);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_NE(run.out.find("\"ended\": \"complete\""), std::string::npos) << run.out;
    EXPECT_GE(number_of(run.out, "acked_bytes"), 300'000);
    server.signal(SIGINT);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_NE(server.out().find("received      0.300 MB"), std::string::npos) << server.out();
  }
}

TEST(Traffic, EndsWithItsSummaryOnCtrlC) {
  Program server(server_words("127.0.0.1"));
  Program client({"--mode=client", "--insecure", "--port=" + server.port(), "--congestion=mvfst_cubic",
                  "--interval-s=0.2", "--duration-s=60"});
  for (int i = 0; i < 2000 && client.out().find("0.20-0.4") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  client.signal(SIGINT);
  EXPECT_EQ(client.wait(), 0);
  EXPECT_NE(client.out().find("ended         interrupted"), std::string::npos) << client.out();
}

TEST(Traffic, ALostServerIsAnErrorWithASummary) {
  Program server(server_words("127.0.0.1"));
  Program client(
      {"--mode=client", "--insecure", "--port=" + server.port(), "--interval-s=0.1", "--duration-s=60"});
  for (int i = 0; i < 2000 && client.out().find("0.10-0.2") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  server.signal(SIGKILL);
  EXPECT_EQ(client.wait(), 1);
  EXPECT_NE(client.out().find("ended         lost"), std::string::npos) << client.out();
  EXPECT_NE(client.err().find("error: the connection was lost: "), std::string::npos) << client.err();
}

TEST(Traffic, NobodyListeningIsAnError) {
  std::string port;
  {
    Program server(server_words("127.0.0.1"));
    port = server.port();
  }
  const Outcome run = run_client({"--patience-s=0.5"}, port);
  EXPECT_EQ(run.status, 1);
  EXPECT_NE(run.err.find("error: no QUIC connection to 127.0.0.1 port " + port), std::string::npos)
      << run.err;
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

TEST(Traffic, APolicyDrivesAndItsGuardTakesOver) {
  const std::string file = testing::TempDir() + "/traffic_mvfst.mvfstrl";
  write_policy_file(file, test::random_policy({.hidden_size = 8}));
  Program server(server_words("127.0.0.1"));
  const std::string port = server.port();
  const Outcome healthy = run_client({"--policy=" + file, "--duration-s=1.5"}, port);
  EXPECT_EQ(healthy.status, 0) << healthy.err;
  EXPECT_GE(number_of(healthy.out, "decisions"), 8);
  // No answer is that quick.
  const Outcome late = run_client({"--policy=" + file, "--duration-s=1", "--max-latency-ms=0.000001"}, port);
  EXPECT_EQ(late.status, 0) << late.err;
  EXPECT_EQ(number_of(late.out, "late"), 1) << late.out;
  EXPECT_GT(number_of(late.out, "fallback_share"), 0.5);
  const Outcome alone = run_client({"--policy=" + file, "--duration-s=0.5", "--no-guard"}, port);
  EXPECT_EQ(alone.out.find("\"guard\""), std::string::npos);
}

TEST(Traffic, BurstsSendWhatTheirRateSays) {
  Program server(server_words("127.0.0.1"));
  const Outcome run = run_client({"--traffic=on_off", "--on-ms=50", "--off-ms=50", "--rate-mbps=4",
                                  "--regular", "--duration-s=2", "--gso", "--pacing=always"},
                                 server.port());
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_NEAR(number_of(run.out, "goodput_mbps"), 2, 0.4) << run.out;
}

TEST(Traffic, BothEndsLeaveAQlog) {
  const std::string folder = testing::TempDir() + "/traffic-qlog-" + std::to_string(getpid());
  const std::vector<std::string> ends{folder + "/server", folder + "/client"};
  for (const std::string& end : ends) std::filesystem::create_directories(end);
  {
    Program server({"--mode=server", "--port=0", "--qlog=" + ends[0]});
    const Outcome run = run_client({"--traffic=fixed", "--bytes=20000", "--qlog=" + ends[1]}, server.port());
    EXPECT_EQ(run.status, 0) << run.err;
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
