// The commands of mvfstrl-policy. Each may throw PolicyFileError, std::invalid_argument and UsageError.
#pragma once

#include <cstdio>

#include "tools/arguments.h"

namespace mvfstrl::tools {

void info(const Arguments& arguments, std::FILE* out);
void bench(const Arguments& arguments, std::FILE* out);
void run(const Arguments& arguments, std::FILE* in, std::FILE* out);

}  // namespace mvfstrl::tools
