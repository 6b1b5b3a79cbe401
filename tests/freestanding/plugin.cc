// What a plugin is written against, as ring 0 would compile it: core/plugin.h
// and the recordings' headers need no library.

#include "core/plugin.h"

#include <cstdint>

#include "core/recording_event.h"
#include "core/recording_exit.h"
#include "core/recording_format.h"
#include "core/recording_registers.h"

namespace worldswitch {

// Writes a run with its registers, and reads it again.
bool RecordAndReplay(const Exit& exit, RegisterFile& file, std::uint8_t* bytes,
                     std::size_t size, RecordedEvent* event, LentData* lent) {
  RegisterWords written;
  RegisterWords read;
  EventWriter writer(bytes, size);
  event->op = RecordedOp::kRun;
  PackExit(exit, event);
  TransferEvent(writer, *event);
  event->op = RecordedOp::kCached;
  written.Pack(file, kGeneralRegisters, event);
  TransferEvent(writer, *event);
  if (WantsData(exit)) {
    PackGiven(exit, event);
    TransferEvent(writer, *event);
  }
  EventReader reader(bytes, writer.size());
  TransferEvent(reader, *event);
  Exit again;
  if (!UnpackExit(*event, lent, &again)) return false;
  TransferEvent(reader, *event);
  return read.Unpack(*event, &file) && writer.ok() && reader.ok();
}

}  // namespace worldswitch

WORLDSWITCH_BACKEND_PLUGIN("freestanding", nullptr)
