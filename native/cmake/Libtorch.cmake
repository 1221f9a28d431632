# Defines the target `libtorch` where MVFSTRL_TORCH leads to one, and says in one line what is missing otherwise.
#
#   auto    the torch of the Python that is found (Python_EXECUTABLE chooses it)
#   off     none
#   FOLDER  a libtorch, or a Python's torch package: the folder with include/ and lib/
#
# torch's own CMake package is not used: that of a CUDA build asks for the CUDA toolkit, which running a policy on
# the CPU does not need.
set(MVFSTRL_TORCH "auto" CACHE STRING "libtorch: auto, off or its folder")

# Sets `folder` to that of libtorch, or `problem`.
function(mvfstrl_find_torch folder problem)
  set(${folder} "" PARENT_SCOPE)
  if(NOT MVFSTRL_TORCH STREQUAL "auto")
    set(${folder} "${MVFSTRL_TORCH}" PARENT_SCOPE)
    return()
  endif()
  find_package(Python QUIET COMPONENTS Interpreter)
  if(NOT Python_Interpreter_FOUND)
    set(${problem} "there is no Python to ask for its torch" PARENT_SCOPE)
    return()
  endif()
  # Not imported, which would take seconds.
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util; print(importlib.util.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    set(${folder} "${found}" PARENT_SCOPE)
  else()
    set(${problem} "${Python_EXECUTABLE} has no torch" PARENT_SCOPE)
  endif()
endfunction()

# Sets `problem` unless `folder` holds what a program needs to be built with libtorch.
function(mvfstrl_check_torch folder problem)
  foreach(file include/torch/csrc/jit/api/module.h lib/libtorch.so lib/libtorch_cpu.so lib/libc10.so)
    if(NOT EXISTS "${folder}/${file}")
      set(${problem} "${folder} has no ${file}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(config "${folder}/share/cmake/Torch/TorchConfig.cmake")
  if(EXISTS "${config}")
    file(STRINGS "${config}" old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
    if(old_abi)
      set(${problem} "${folder} was built with the C++ ABI of before 2015" PARENT_SCOPE)
    endif()
  endif()
endfunction()

if(MVFSTRL_TORCH STREQUAL "off")
  message(STATUS "TorchScript runner: not built (MVFSTRL_TORCH=off)")
else()
  set(problem "")
  mvfstrl_find_torch(folder problem)
  if(NOT problem)
    get_filename_component(folder "${folder}" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}")
    mvfstrl_check_torch("${folder}" problem)
  endif()
  if(NOT problem)
    message(STATUS "TorchScript runner: libtorch of ${folder}")
    add_library(libtorch INTERFACE)
    target_include_directories(libtorch SYSTEM INTERFACE "${folder}/include"
                                                         "${folder}/include/torch/csrc/api/include")
    target_link_libraries(libtorch INTERFACE "${folder}/lib/libtorch.so" "${folder}/lib/libtorch_cpu.so"
                                             "${folder}/lib/libc10.so")
  elseif(MVFSTRL_TORCH STREQUAL "auto")
    message(STATUS "TorchScript runner: not built: ${problem} (MVFSTRL_TORCH=FOLDER names a libtorch)")
  else()
    message(FATAL_ERROR "MVFSTRL_TORCH: ${problem}; name the folder of a libtorch >= 2.6")
  endif()
endif()
