#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/rng.h"
#include "policy/policy_file.h"
#include "tools/commands.h"
#include "tools/runner.h"
#include "tools/timing.h"

namespace mvfstrl::tools {
namespace {

constexpr std::size_t kObservations = 64;  // different ones, met in turn

// One row of the table.
struct Entry {
  std::string runner;  // "fp32", "bf16", "torchscript", "aoti"
  std::string detail;
  std::size_t batch = 1;
};

// Values as they occur: many zeros and ones, some in the hundreds.
std::vector<float> make_observations(std::size_t values) {
  Rng rng(1);
  std::vector<float> observations(values);
  for (float& value : observations)
    value = static_cast<float>(rng.exponential(1.0) * rng.log_uniform(0.01, 100));
  return observations;
}

// Decisions about ever other observations.
std::function<void()> decisions(std::shared_ptr<Runner> runner, std::size_t batch, std::size_t width) {
  struct State {
    std::shared_ptr<Runner> runner;
    std::vector<float> observations;
    std::vector<std::int32_t> actions;
    std::size_t next = 0;
  };
  const auto state = std::make_shared<State>();
  state->runner = std::move(runner);
  state->observations = make_observations((kObservations + batch) * width);
  state->actions.resize(batch);
  return [state, size = batch * width, width] {
    state->next = (state->next + 1) % kObservations;
    state->runner->act(std::span(state->observations).subspan(state->next * width, size), state->actions);
  };
}

class Table {
 public:
  explicit Table(const Arguments& arguments) {
    for (const std::string& path : arguments.files) add_built_in(path, arguments);
    const PolicyDescription description = read_policy_file(arguments.files[0]).description;
    add_torch("torchscript", arguments.torchscript, description, arguments.batches);
    add_torch("aoti", arguments.aot_inductor, description, arguments.batches);
  }

  void measure(double seconds, double clock_cost) { time_in_turns(timed_, seconds, clock_cost); }
  void print(std::FILE* out);
  void print_json(const std::string& name, std::FILE* out);

 private:
  void add(Entry entry, std::shared_ptr<Runner> runner, const NetworkDescription& network) {
    timed_.push_back(
        {decisions(std::move(runner), entry.batch, static_cast<std::size_t>(network.observation_size)),
         {},
         0,
         0});
    entries_.push_back(std::move(entry));
  }

  void add_built_in(const std::string& path, const Arguments& arguments) {
    const PolicyFile file = read_policy_file(path);
    const auto model = std::make_shared<const PolicyModel>(file, PolicyOptions{arguments.instructions});
    for (const std::size_t batch : arguments.batches) {
      add({name_of(model->precision()), "built-in, " + std::string(name_of(model->instructions())), batch},
          make_built_in_runner(model, batch), file.description.network);
    }
  }

  void add_torch(const std::string& runner, const std::string& path, const PolicyDescription& description,
                 const std::vector<std::size_t>& batches) {
    if (path.empty()) return;
    for (const std::size_t batch : batches) {
      add({runner, "libtorch", batch}, make_torch_runner(path, description, batch), description.network);
    }
  }

  std::vector<Entry> entries_;
  std::vector<Timed> timed_;
};

void Table::print(std::FILE* out) {
  std::fprintf(out, "%-12s %-20s %6s %10s %10s %10s %14s\n", "runner", "", "batch", "p50 us", "p99 us",
               "mean us", "decisions/s");
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    Timed& timed = timed_[i];
    std::fprintf(out, "%-12s %-20s %6zu %10.2f %10.2f %10.2f %14.0f\n", entry.runner.c_str(),
                 entry.detail.c_str(), entry.batch, quantile(timed.single, 0.5), quantile(timed.single, 0.99),
                 timed.mean_us(), static_cast<double>(entry.batch) * 1e6 / timed.mean_us());
  }
}

void Table::print_json(const std::string& name, std::FILE* out) {
  const auto figure = [&](const std::string& what, const Entry& entry, double value, const char* unit) {
    std::fprintf(out, "{\"name\": \"%s_%s_%s\", \"value\": %.3f, \"unit\": \"%s\"}\n", what.c_str(),
                 name.c_str(), entry.runner.c_str(), value, unit);
  };
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    Timed& timed = timed_[i];
    if (entry.batch == 1) {
      figure("decision_us_p50", entry, quantile(timed.single, 0.5), "us");
      figure("decision_us_p99", entry, quantile(timed.single, 0.99), "us");
    } else {
      figure("decisions_per_second_batch" + std::to_string(entry.batch), entry,
             static_cast<double>(entry.batch) * 1e6 / timed.mean_us(), "decisions/s");
    }
  }
}

}  // namespace

void bench(const Arguments& arguments, std::FILE* out) {
  Table table(arguments);
  const double clock_cost = clock_cost_us();
  table.measure(arguments.seconds, clock_cost);
  if (!arguments.name.empty()) {
    table.print_json(arguments.name, out);
    return;
  }
  std::fprintf(
      out, "One thread, its CPU time. Reading the clock took %.2f us, taken off each single decision.\n\n",
      clock_cost);
  table.print(out);
}

}  // namespace mvfstrl::tools
