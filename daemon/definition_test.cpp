#include "daemon/definition.hpp"
#include "tests/catch.hpp"
#include "xml/domain/domain.hpp"

using namespace lodge;
using daemon::Definition, daemon::definition_file;

static Definition sample(const std::string& name) {
    xml::Domain domain = xml::parse_domain("<domain type='qemu'><name>guest</name><memory>65536</memory>"
                                           "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>",
                                           {});
    domain.name = name;
    domain.uuid = *rpc::Uuid::parse("7e1d1a30-0c5b-4a45-a9b1-3d2f0a6c1b01");
    return Definition(domain);
}

TEST_CASE("a definition's file is taken over as it was written") {
    for (const std::string name : {"guest", "a<b&c", "with blank", "x--y"}) {
        const Definition written = sample(name);
        const Definition read = Definition::from_file(definition_file(written.text()), name);
        CHECK(read.text() == written.text());
        CHECK(read.uuid() == written.uuid());
        CHECK(read.outline().size.memory_kib == 65536);
        CHECK(xml::parse_domain(definition_file(written.text()), {}).name ==
              name); // for libvirt and for people it is a document like any other
    }
}

TEST_CASE("an edited, renamed or foreign file is not") {
    const std::string file = definition_file(sample("guest").text());
    std::string edited = file;
    edited.replace(edited.find("65536"), 5, "65537");
    CHECK(Definition::from_file(edited, "guest").is_empty());
    CHECK(Definition::from_file(file + "\n", "guest").is_empty());
    CHECK(Definition::from_file(file, "other").is_empty());
    CHECK(Definition::from_file(sample("guest").text(), "guest").is_empty());
    CHECK(Definition::from_file("", "guest").is_empty());
}

TEST_CASE("a name that would end the comment or run in a shell stays out of it") {
    CHECK(definition_file(sample("a-->b").text()).find("virsh edit 7e1d1a30") != std::string::npos);
    CHECK(definition_file(sample("x; reboot").text()).find("virsh edit 7e1d1a30") != std::string::npos);
    CHECK(definition_file(sample("web-1.example").text()).find("virsh edit web-1.example\n") != std::string::npos);
}
