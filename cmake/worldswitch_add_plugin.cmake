# worldswitch_add_plugin(TARGET SOURCE...): a backend as a shared object
# TARGET.so that exports its entry point and nothing else, so that it can be
# loaded beside a program that has the same code in it. Link what it needs with
# target_link_libraries, as of any target; static libraries must be compiled
# with CMAKE_POSITION_INDEPENDENT_CODE.
set(WORLDSWITCH_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/plugin_exports.map)

function(worldswitch_add_plugin target)
  add_library(${target} MODULE ${ARGN})
  set_target_properties(${target} PROPERTIES
    PREFIX ""
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${WORLDSWITCH_PLUGIN_EXPORTS})
  target_link_libraries(${target} PRIVATE worldswitch::plugin)
  target_link_options(${target} PRIVATE
    LINKER:--version-script=${WORLDSWITCH_PLUGIN_EXPORTS})
endfunction()
