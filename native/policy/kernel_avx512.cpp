// Compiled with AVX-512 (its foundation only) where the compiler makes code for x86 (native/CMakeLists.txt).
#include "policy/kernel_sets.h"

#if defined(__AVX512F__)
#include "policy/kernel_code.h"

namespace mvfstrl {
static constinit const Kernel kKernel = Code<16, 4>::kernel(InstructionSet::kAvx512);
constinit const Kernel* const kAvx512Kernel = &kKernel;
}  // namespace mvfstrl
#else
constinit const mvfstrl::Kernel* const mvfstrl::kAvx512Kernel = nullptr;
#endif
