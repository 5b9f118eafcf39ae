// Arbitrary text as a network document: refused with an error, or understood; and what is understood is stable when written.
#include "xml/network.hpp"
#include "rpc/error.hpp"
#include <cstdint>
#include <cstdlib>

using namespace lodge;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        const std::string first = xml::format_network(xml::parse_network(text));
        try {
            if (xml::format_network(xml::parse_network(first)) != first) std::abort();
        } catch (const rpc::Error&) {
            std::abort(); // refuses its own words
        }
    } catch (const rpc::Error&) {
    }
    return 0;
}
