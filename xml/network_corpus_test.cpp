// Every network document of the corpus, with what libvirt answers to it. Set LODGE_CORPUS to its folder.
#include "tests/corpus.hpp"
#include "xml/interface.hpp"
#include "xml/network.hpp"

using namespace lodge;
using corpus::answer, corpus::number_in, corpus::recorded, corpus::slurp, corpus::stems, corpus::Tally;

static std::string define_network(const std::string& text) {
    auto network = xml::parse_network(text);
    xml::check_network_support(network);
    xml::complete_network(network);
    xml::WriteOptions options;
    options.live = false;
    return xml::format_network(network, options);
}

TEST_CASE("networks of the corpus are answered as libvirt does", "[corpus]") {
    Tally tally;
    for (const char* folder : {"networkxml2xmlin", "networkxml2xmlout", "networkxml2confdata", "networkxml2firewalldata"})
        for (const auto& stem : stems(folder))
            tally.expect(stem, recorded(stem),
                         answer(rpc::From::network, [&] { return define_network(slurp(stem.string() + ".in.xml")); }));
    if (!tally.all) {
        WARN("skipped: LODGE_CORPUS does not name the corpus");
        return;
    }
    CHECK(tally.good * 100 >= tally.all * 99);
}

TEST_CASE("network updates of the corpus are answered as libvirt does", "[corpus]") {
    Tally tally;
    for (const auto& stem : stems("networkxml2xmlupdatein")) {
        const auto call = slurp(stem.string() + ".call.json");
        const auto update = [&] {
            auto network = xml::parse_network(slurp(stem.string() + ".base.xml"));
            xml::check_network_support(network);
            xml::update_network(network, static_cast<xml::NetworkUpdateCommand>(number_in(call, "command")),
                                static_cast<xml::NetworkUpdateSection>(number_in(call, "section")), number_in(call, "index"),
                                slurp(stem.string() + ".in.xml"));
            return xml::format_network(network);
        };
        tally.expect(stem, recorded(stem), answer(rpc::From::network, update));
    }
    if (tally.all) CHECK(tally.good * 100 >= tally.all * 99);
}

TEST_CASE("host interfaces of the corpus survive a round trip", "[corpus]") {
    Tally tally;
    for (const auto& stem : stems("interfaceschemadata"))
        tally.expect(stem, recorded(stem), answer(rpc::From::interface, [&] {
                         return xml::format_interface(xml::parse_interface(slurp(stem.string() + ".in.xml")));
                     }));
    if (tally.all) CHECK(tally.good * 100 >= tally.all * 99);
}
