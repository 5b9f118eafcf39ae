// Arbitrary text as a guest for QEMU: refused with an error, or completed and given a command line. (That what is complete reads
// back as it was written is tested with broken documents, see drivers/qemu/complete/broken_test.cpp.)
#include "drivers/qemu/complete/test_context.hpp"
#include <cstdint>

using namespace lodge;
using namespace lodge::drivers::qemu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto ctx = debian_context();
    try {
        completed_form({reinterpret_cast<const char*>(data), size}, ctx);
    } catch (const rpc::Error&) {
    }
    return 0;
}
