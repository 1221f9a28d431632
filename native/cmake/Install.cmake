# `cmake --install`: what a host of a policy needs (headers, static libraries, the CMake package `mvfstrl`), and the
# executable. Any program then says
#
#   find_package(mvfstrl CONFIG REQUIRED)
#   target_link_libraries(NAME PRIVATE mvfstrl::policy)
#
# A host of real connections links mvfstrl::host instead, one that emulates paths mvfstrl::emulator, and one that plays
# episodes in virtual time mvfstrl::environment. Where mvfst was found there is mvfstrl::mvfst too, for those who
# say find_package(mvfstrl CONFIG REQUIRED COMPONENTS mvfst), and the executable mvfstrl-traffic. The target `package_libraries` builds all that is installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/mvfstrl")
set(header_folder "${CMAKE_INSTALL_INCLUDEDIR}/mvfstrl")

set(modules common path traffic congestion observe policy host transport environment emulator)
add_custom_target(package_libraries DEPENDS mvfstrl-policy)
install(TARGETS mvfstrl-policy RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(MVFSTRL_HAS_MVFST)
  list(APPEND modules mvfst)
  get_filename_component(mvfst_prefix "${mvfst_DIR}/../../.." ABSOLUTE) # lib/cmake/mvfst below it
  add_dependencies(package_libraries mvfstrl-traffic)
  install(TARGETS mvfstrl-traffic RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(FILES cmake/FindSodium.cmake DESTINATION "${package_folder}")
endif()
foreach(module ${modules})
  add_dependencies(package_libraries mvfstrl_${module})
  set_target_properties(mvfstrl_${module} PROPERTIES EXPORT_NAME ${module})
  target_compile_features(mvfstrl_${module} INTERFACE cxx_std_20)
  target_include_directories(mvfstrl_${module} INTERFACE $<INSTALL_INTERFACE:${header_folder}>)
  install(TARGETS mvfstrl_${module} EXPORT mvfstrl ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(DIRECTORY ${module} DESTINATION "${header_folder}" FILES_MATCHING PATTERN "*.h" PATTERN "test_*.h" EXCLUDE)
endforeach()
if(TARGET mvfstrl_policy_torch)
  set_target_properties(mvfstrl_policy_torch PROPERTIES EXPORT_NAME policy_torch)
  install(TARGETS mvfstrl_policy_torch libtorch EXPORT mvfstrl ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(DIRECTORY policy_torch DESTINATION "${header_folder}" FILES_MATCHING PATTERN "*.h")
endif()
install(EXPORT mvfstrl NAMESPACE mvfstrl:: FILE mvfstrlTargets.cmake DESTINATION "${package_folder}")

configure_package_config_file(cmake/mvfstrlConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/mvfstrlConfig.cmake"
                              INSTALL_DESTINATION "${package_folder}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/mvfstrlConfigVersion.cmake"
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/mvfstrlConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/mvfstrlConfigVersion.cmake" DESTINATION "${package_folder}")
