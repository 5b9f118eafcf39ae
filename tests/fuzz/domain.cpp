// Arbitrary text as a domain document: refused with an error, or understood; and what is understood is stable when written.
#include "xml/domain/domain.hpp"
#include "rpc/error.hpp"
#include <cstdint>
#include <cstdlib>

using namespace lodge;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const std::string first = xml::format_domain(xml::parse_domain(text, {}), {});
        try {
            if (xml::format_domain(xml::parse_domain(first, {}), {}) != first) std::abort();
        } catch (const rpc::Error&) {
            std::abort(); // refuses its own words
        }
    } catch (const rpc::Error&) {
    }
    return 0;
}
