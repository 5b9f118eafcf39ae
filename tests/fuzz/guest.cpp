// Arbitrary text as a guest for QEMU: refused with an error, or completed and given a command line; and what is complete has the
// same lines when it is read again. Not their order: disks and controllers are put where libvirt puts them, which is not always
// where they are found again.
#include "drivers/qemu/complete/test_context.hpp"
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <sstream>

using namespace lodge;
using namespace lodge::drivers::qemu;

static std::vector<std::string> sorted_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    std::ranges::sort(lines);
    return lines;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto ctx = debian_context();
    std::string once;
    try {
        once = completed_form({reinterpret_cast<const char*>(data), size}, ctx);
    } catch (const rpc::Error&) {
        return 0;
    }
    try {
        if (sorted_lines(completed_form(once, ctx)) != sorted_lines(once)) std::abort();
    } catch (const rpc::Error&) {
        std::abort(); // refuses its own words
    }
    return 0;
}
