// One kernel a file; null where the compiler does not make code for the set.
#pragma once

#include "policy/kernel.h"

namespace mvfstrl {

extern const Kernel kPortableKernel;
extern const Kernel* const kAvx2Kernel;
extern const Kernel* const kAvx512Kernel;

}  // namespace mvfstrl
