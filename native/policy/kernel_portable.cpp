// Four floats at a time: what every 64-bit processor can do (SSE2, NEON).
#include "policy/kernel_code.h"
#include "policy/kernel_sets.h"

namespace mvfstrl {

constinit const Kernel kPortableKernel = Code<4, 2>::kernel(InstructionSet::kPortable);

}  // namespace mvfstrl
