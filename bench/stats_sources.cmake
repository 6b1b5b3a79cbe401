# The statistics and host-observation leaves; bench/CMakeLists.txt adds them.
set(WS_BENCH_STATS_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/clock_check.cc
  ${CMAKE_CURRENT_LIST_DIR}/noise.cc
  ${CMAKE_CURRENT_LIST_DIR}/statistics.cc)
