// Arbitrary text as a guest for QEMU: refused with an error, or completed and given a command line; and what is complete has the
// same lines when it is read again. Not their order: disks and controllers are put where libvirt puts them, which is not always
// where they are found again.
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/complete/test_context.hpp"
#include "rpc/error.hpp"
#include "xml/domain/domain.hpp"
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

static std::string normal_form(std::string_view text) {
    static const auto ctx = debian_context();
    auto domain = xml::parse_domain(text, {});
    complete(domain, ctx);
    const auto form = xml::format_domain(domain, {.live = false, .secret = true});
    BuildContext names;
    names.display = true;
    assign_aliases(domain);
    try {
        build(domain, names);
    } catch (const rpc::Error&) { // known only when it starts
    }
    return form;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string once;
    try {
        once = normal_form({reinterpret_cast<const char*>(data), size});
    } catch (const rpc::Error&) {
        return 0;
    }
    try {
        if (sorted_lines(normal_form(once)) != sorted_lines(once)) std::abort();
    } catch (const rpc::Error&) {
        std::abort(); // refuses its own words
    }
    return 0;
}
