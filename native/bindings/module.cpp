// The extension module mvfstrl._native. Names are those of the C++ side.
#include <pybind11/pybind11.h>

namespace mvfstrl {

void bind_path(pybind11::module_& module);
void bind_environment(pybind11::module_& module);
void bind_observe(pybind11::module_& module);
void bind_link_log(pybind11::module_& module);
void bind_policy(pybind11::module_& module);
void bind_local(pybind11::module_& module);
void bind_host(pybind11::module_& module);
void bind_emulator(pybind11::module_& module);
#ifdef MVFSTRL_HAS_MVFST
void bind_mvfst(pybind11::module_& module);
#endif

}  // namespace mvfstrl

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native core: paths, QUIC endpoints and virtual-time environments.";
  mvfstrl::bind_path(module);
  mvfstrl::bind_environment(module);
  mvfstrl::bind_observe(module);
  mvfstrl::bind_link_log(module);
  mvfstrl::bind_policy(module);
  mvfstrl::bind_local(module);
  mvfstrl::bind_host(module);
  mvfstrl::bind_emulator(module);
#ifdef MVFSTRL_HAS_MVFST
  mvfstrl::bind_mvfst(module);
  module.attr("has_mvfst") = true;
#else
  module.attr("has_mvfst") = false;
#endif
}
