#include "backends/vmx_intel/native/vmcs_field.h"

namespace worldswitch {
namespace {

constexpr VmcsFieldInfo kFields[] = {
#define WS_VMCS_FIELD_INFO(name, encoding, text) {VmcsField::name, text},
    WS_VMCS_FIELDS(WS_VMCS_FIELD_INFO)
#undef WS_VMCS_FIELD_INFO
};

}  // namespace

VmcsFieldList AllVmcsFields() {
  return {kFields, kFields + sizeof(kFields) / sizeof(kFields[0])};
}

const char* VmcsFieldName(VmcsField field) {
  for (const VmcsFieldInfo& info : kFields) {
    if (info.field == field) return info.name;
  }
  return nullptr;
}

}  // namespace worldswitch
