# The Google Benchmark programs. bench/CMakeLists.txt includes this file.
add_executable(bus_dispatch ${CMAKE_CURRENT_LIST_DIR}/bus_dispatch.cc)
target_link_libraries(bus_dispatch PRIVATE ws_host benchmark::benchmark)

# Those on /dev/kvm. ws_loops is for the tests as well.
add_library(ws_loops STATIC
  ${CMAKE_CURRENT_LIST_DIR}/bare_loop.c
  ${CMAKE_CURRENT_LIST_DIR}/deadline.cc
  ${CMAKE_CURRENT_LIST_DIR}/loops.cc)
target_link_libraries(ws_loops PUBLIC ws_bench ws_backend_kvm)
add_library(ws_kvm_program STATIC ${CMAKE_CURRENT_LIST_DIR}/kvm_program.cc)
target_link_libraries(ws_kvm_program PUBLIC ws_bench ws_backend_kvm
  benchmark::benchmark)
foreach(name exit_latency lifecycle loop_overhead scale)
  add_executable(${name} ${CMAKE_CURRENT_LIST_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE ws_kvm_program ws_loops)
endforeach()
