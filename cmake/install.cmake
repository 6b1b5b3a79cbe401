# What `cmake --install` brings: the command, headers, libraries, and what
# find_package(worldswitch) reads.
#
# Two sets of targets: `plugin` needs nothing but a C++ compiler; `host` is the
# library a program links to open backends, and needs Abseil.
include(CMakePackageConfigHelpers)

set(ws_package_folder lib/cmake/worldswitch)
set(ws_plugin_targets ws_options ws_core ws_plugin)
set(ws_host_targets ws_host ws_guests ws_conformance ws_conformance_host
  ws_backend_kvm ws_vmx ws_backend_vmx_intel ws_svm ws_backend_svm_amd
  ws_backend_scripted)
foreach(set plugin host)
  foreach(target ${ws_${set}_targets})
    # worldswitch::core, worldswitch::backend_kvm
    string(REGEX REPLACE "^ws_" "" name ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  endforeach()
  install(TARGETS ${ws_${set}_targets} EXPORT worldswitch_${set}
    ARCHIVE DESTINATION lib)
  install(EXPORT worldswitch_${set} NAMESPACE worldswitch::
    DESTINATION ${ws_package_folder})
endforeach()

install(TARGETS worldswitch RUNTIME DESTINATION bin)
foreach(directory core guests conformance backends)
  install(DIRECTORY ${directory} DESTINATION include/worldswitch
    FILES_MATCHING PATTERN *.h)
endforeach()
# Where plugins are looked for.
install(DIRECTORY DESTINATION lib/worldswitch/backends)

configure_package_config_file(cmake/worldswitchConfig.cmake.in
  ${CMAKE_BINARY_DIR}/cmake/worldswitchConfig.cmake
  INSTALL_DESTINATION ${ws_package_folder})
# Until 1.0 every minor version may change what crosses.
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/cmake/worldswitchConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_BINARY_DIR}/cmake/worldswitchConfig.cmake
  ${CMAKE_BINARY_DIR}/cmake/worldswitchConfigVersion.cmake
  cmake/worldswitch_add_plugin.cmake
  cmake/plugin_exports.map
  DESTINATION ${ws_package_folder})
