# Finds an installed mvfst, and says in one line where it is or what is missing.
#
#   MVFSTRL_MVFST  AUTO  with mvfst where there is one
#                  ON    the configuration fails without
#                  OFF   without
#   MVFST_ROOT     the folder into which mvfst was installed (also from the environment); CMAKE_PREFIX_PATH serves too
#
# Sets MVFSTRL_HAS_MVFST and, where it is off, MVFSTRL_MVFST_PROBLEM.
set(MVFSTRL_MVFST "AUTO" CACHE STRING "Real mvfst as a transport: AUTO, ON or OFF")
set_property(CACHE MVFSTRL_MVFST PROPERTY STRINGS AUTO ON OFF)
set(MVFST_ROOT "$ENV{MVFST_ROOT}" CACHE PATH "Where mvfst was installed; empty: where CMake looks")

# Sets `problem` to what keeps mvfst from being used, if anything.
function(mvfstrl_mvfst_problem problem)
  set(${problem} "" PARENT_SCOPE)
  if(NOT mvfst_FOUND)
    if(mvfst_CONSIDERED_CONFIGS)
      # CMake's own words name what each of them lacks.
      string(JOIN " " reason ${mvfst_NOT_FOUND_MESSAGE} ${Fizz_NOT_FOUND_MESSAGE} ${folly_NOT_FOUND_MESSAGE})
      string(REGEX REPLACE "[ \n]+" " " reason "${reason}")
      string(REGEX REPLACE "\\.$" "" reason "${reason}")
      set(${problem} "${mvfst_CONSIDERED_CONFIGS}: ${reason}" PARENT_SCOPE)
    elseif(MVFST_ROOT)
      set(${problem} "no mvfst-config.cmake under MVFST_ROOT=${MVFST_ROOT}" PARENT_SCOPE)
    else()
      set(${problem} "no mvfst-config.cmake; MVFST_ROOT names the folder where mvfst was installed" PARENT_SCOPE)
    endif()
  endif()
endfunction()

set(MVFSTRL_HAS_MVFST OFF)
set(MVFSTRL_MVFST_PROBLEM "")
if(MVFSTRL_MVFST STREQUAL "OFF")
  set(MVFSTRL_MVFST_PROBLEM "MVFSTRL_MVFST=OFF")
elseif(NOT MVFSTRL_MVFST MATCHES "^(AUTO|ON)$")
  message(FATAL_ERROR "MVFSTRL_MVFST=${MVFSTRL_MVFST}: use AUTO, ON or OFF")
else()
  list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}") # FindSodium, for fizz
  if(MVFST_ROOT)
    list(PREPEND CMAKE_PREFIX_PATH "${MVFST_ROOT}")
  endif()
  if(POLICY CMP0144) # MVFST_ROOT counts
    cmake_policy(SET CMP0144 NEW)
  endif()
  if(POLICY CMP0167) # Boost's own configuration file instead of CMake's module, which is gone
    cmake_policy(SET CMP0167 NEW)
  endif()
  # folly requires Boost in a way that would end the configuration.
  find_package(Boost 1.69 QUIET COMPONENTS context filesystem program_options regex thread)
  if(Boost_FOUND)
    unset(mvfst_DIR CACHE) # what an earlier MVFST_ROOT led to
    find_package(mvfst CONFIG QUIET)
    mvfstrl_mvfst_problem(MVFSTRL_MVFST_PROBLEM)
  else()
    set(MVFSTRL_MVFST_PROBLEM "folly needs Boost >= 1.69 with context, filesystem, program_options, regex, thread")
  endif()
endif()

if(NOT MVFSTRL_MVFST_PROBLEM)
  set(MVFSTRL_HAS_MVFST ON)
  set(told "mvfst: found at ${mvfst_DIR}")
elseif(MVFSTRL_MVFST STREQUAL "ON")
  message(FATAL_ERROR "mvfst: not found (${MVFSTRL_MVFST_PROBLEM})")
else()
  set(told "mvfst: not found (${MVFSTRL_MVFST_PROBLEM}); transport=mvfst is left out")
endif()
message(STATUS "${told}")
file(WRITE "${CMAKE_BINARY_DIR}/mvfst.txt" "${told}\n") # for set-ups that show no log
