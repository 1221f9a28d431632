// A recorded link: the milliseconds at which one delivery opportunity each took place. mahimahi's file
// format: one unsigned integer a line, never decreasing, repeats meaning several opportunities in that
// millisecond.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mvfstrl {

class Trace {
 public:
  // Reads a file. Throws std::invalid_argument, "FILE:LINE: reason" (without ":LINE" where the whole file is
  // at fault), if it is missing or empty, has a blank, non-numeric or decreasing line, or ends at zero.
  static std::shared_ptr<const Trace> load(const std::string& path);
  // The same from memory; `name` stands for the file in errors.
  static std::shared_ptr<const Trace> parse(const std::string& text, const std::string& name);
  // Takes timestamps directly (tests, generated traces); same checks, index + 1 stands for the line.
  static std::shared_ptr<const Trace> from_timestamps(std::vector<std::uint32_t> timestamps_ms,
                                                      const std::string& name = "trace");

  const std::string& name() const { return name_; }
  // Never empty, never decreasing, last one positive.
  const std::vector<std::uint32_t>& timestamps_ms() const { return timestamps_ms_; }
  // After this many milliseconds the trace starts again: its last timestamp, as in mahimahi.
  std::uint32_t period_ms() const { return timestamps_ms_.back(); }

 private:
  Trace(std::string name, std::vector<std::uint32_t> timestamps_ms);

  std::string name_;
  std::vector<std::uint32_t> timestamps_ms_;
};

}  // namespace mvfstrl
