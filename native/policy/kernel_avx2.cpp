// Compiled with AVX2 and FMA where the compiler makes code for x86 (native/CMakeLists.txt).
#include "policy/kernel_sets.h"

#if defined(__AVX2__) && defined(__FMA__)
#include "policy/kernel_code.h"

namespace mvfstrl {
static constinit const Kernel kKernel = Code<8, 2>::kernel(InstructionSet::kAvx2);
constinit const Kernel* const kAvx2Kernel = &kKernel;
}  // namespace mvfstrl
#else
constinit const mvfstrl::Kernel* const mvfstrl::kAvx2Kernel = nullptr;
#endif
