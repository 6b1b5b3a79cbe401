# The Google Benchmark programs. bench/CMakeLists.txt includes this file.
add_executable(bus_dispatch ${CMAKE_CURRENT_LIST_DIR}/bus_dispatch.cc)
target_link_libraries(bus_dispatch PRIVATE ws_host benchmark::benchmark)
