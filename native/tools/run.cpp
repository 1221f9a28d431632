#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/runner.h"

namespace mvfstrl::tools {
namespace {

std::unique_ptr<Runner> chosen_runner(const Arguments& arguments,
                                      const std::shared_ptr<const PolicyModel>& model) {
  const std::string& torch = arguments.torchscript.empty() ? arguments.aot_inductor : arguments.torchscript;
  if (torch.empty()) return make_built_in_runner(model, 1);
  return make_torch_runner(torch, model->description(), 1);
}

// False at the end of the input. Throws where it ends inside a row.
bool read_row(std::FILE* in, std::vector<float>& row, std::size_t number) {
  const std::size_t bytes = row.size() * sizeof(float);
  const std::size_t got = std::fread(row.data(), 1, bytes, in);
  if (std::ferror(in) != 0) throw std::runtime_error(std::string("standard input: ") + std::strerror(errno));
  if (got != 0 && got != bytes) {
    throw std::runtime_error("standard input: row " + std::to_string(number) + " ends after " +
                             std::to_string(got) + " of " + std::to_string(bytes) + " bytes (a flag and " +
                             std::to_string(row.size() - 1) + " values, of 4 bytes each)");
  }
  return got == bytes;
}

}  // namespace

void run(const Arguments& arguments, std::FILE* in, std::FILE* out) {
  const auto model = PolicyModel::load(arguments.files[0], {arguments.instructions});
  const auto runner = chosen_runner(arguments, model);
  runner->set_job(0, arguments.job);
  std::vector<float> row(1 + static_cast<std::size_t>(model->description().network.observation_size));
  std::vector<std::int32_t> action(1);
  for (std::size_t number = 0; read_row(in, row, number); ++number) {
    if (row[0] != 0) runner->reset(0);
    runner->act(std::span(row).subspan(1), action);
    const std::span<const float> logits = runner->logits();
    if (std::fwrite(logits.data(), sizeof(float), logits.size(), out) != logits.size()) {
      throw std::runtime_error(std::string("standard output: ") + std::strerror(errno));
    }
  }
  if (std::fflush(out) != 0)
    throw std::runtime_error(std::string("standard output: ") + std::strerror(errno));
}

}  // namespace mvfstrl::tools
