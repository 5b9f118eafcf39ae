// Arbitrary text as a pool and as a volume, arbitrary bytes as the header of an image: refused with an error, or understood; and
// what is understood is stable when written.
#include "drivers/storage/image_header.hpp"
#include "rpc/error.hpp"
#include "xml/volume.hpp"
#include <cstdint>
#include <cstdlib>

using namespace lodge;

template<class Format> static void check_stable(const std::string& text, Format format) {
    try {
        const std::string first = format(text);
        try {
            if (format(first) != first) std::abort();
        } catch (const rpc::Error&) {
            std::abort(); // refuses its own words
        }
    } catch (const rpc::Error&) {
    }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    check_stable(text, [](const std::string& pool) { return xml::format_pool(xml::parse_pool(pool)); });
    check_stable(text, [](const std::string& volume) {
        return xml::format_volume(xml::parse_volume(volume, xml::PoolType::dir, xml::CapacityRule::optional));
    });
    for (const char* format : {"", "qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "cow", "raw"})
        drivers::parse_image_header(text, format);
    return 0;
}
