// Arbitrary text as each of the smaller documents: refused with an error, or understood; and what is understood is stable when
// written.
#include "rpc/error.hpp"
#include "xml/backup.hpp"
#include "xml/capabilities.hpp"
#include "xml/checkpoint.hpp"
#include "xml/domain/domain.hpp"
#include "xml/domain_capabilities.hpp"
#include "xml/interface.hpp"
#include "xml/network_port.hpp"
#include "xml/node_device.hpp"
#include "xml/nwfilter.hpp"
#include "xml/secret.hpp"
#include "xml/snapshot.hpp"
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
    check_stable(text, [](const std::string& t) { return xml::format_filter(xml::parse_filter(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_filter_binding(xml::parse_filter_binding(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_secret(xml::parse_secret(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_interface(xml::parse_interface(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_network_port(xml::parse_network_port(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_node_device(xml::parse_node_device(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_backup(xml::parse_backup(t)); });
    check_stable(text, [](const std::string& t) { return xml::format_capabilities(xml::parse_capabilities(t, {})); });
    check_stable(text,
                 [](const std::string& t) { return xml::format_domain_capabilities(xml::parse_domain_capabilities(t, {})); });
    check_stable(
        text, [](const std::string& t) { return xml::format(xml::parse_snapshot(t, {.redefine = true}), xml::snapshot_root); });
    check_stable(text, [](const std::string& t) { return xml::format(xml::parse_checkpoint(t, true), xml::checkpoint_root); });
    return 0;
}
