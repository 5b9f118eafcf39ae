#include "drivers/qemu/helpers/commands.hpp"
#include "tests/catch.hpp"

using namespace lodge;
using namespace lodge::drivers;
using namespace lodge::drivers::qemu;

TEST_CASE("passt is told address and ports") {
    xml::Nic nic;
    nic.mac.address = xml::MacAddress::parse("52:54:00:12:34:56");
    nic.source.dev = "eth0";
    xml::PortForward tcp{"tcp", "192.0.2.1", "", {{80, 82, 8080, {}}, {81, {}, {}, true}}}, udp{"udp", "", "", {}};
    nic.port_forwards = {tcp, udp};
    const Command command = passt(nic, 7);
    CHECK(quoted(command) == "passt --foreground --one-off --fd 7 --mac-addr 52:54:00:12:34:56 --interface eth0 "
                             "--tcp-ports '192.0.2.1/80-82:8080-8082,~81' --udp-ports all");
    CHECK(command.fds == std::vector<PassedFd>{{7, 7}});
}

TEST_CASE("virtiofsd is told the folder, commas doubled, and its options") {
    xml::Filesystem filesystem;
    filesystem.source = "/a,b";
    filesystem.binary.cache = xml::VirtiofsCache::always;
    filesystem.binary.flock = false;
    filesystem.binary.thread_pool = 4;
    CHECK(quoted(virtiofsd("/v", filesystem, 5)) == "/v --fd=5 -o source=/a,,b,cache=always,no_flock --thread-pool-size=4");
}

TEST_CASE("a TPM's state is made once, sealed where the document says so") {
    xml::Domain domain;
    domain.name = "g";
    xml::Tpm tpm;
    tpm.version = xml::TpmVersion::v2_0;
    SwtpmPlace place = swtpm_place(domain, tpm, "/lib", "/log");
    place.listener = 9;
    CHECK(place.state == "/lib/swtpm/00000000-0000-0000-0000-000000000000/tpm2");
    CHECK(quoted(swtpm(tpm, place, -1, -1)) ==
          "swtpm socket --ctrl type=unixio,fd=9 --tpmstate dir=" + place.state + ",mode=0600 --terminate --tpm2");
    const Command sealed = swtpm(tpm, place, 10, 11);
    CHECK(sealed.args.back() == "pwdfd=11,mode=aes-256-cbc");
    CHECK(sealed.fds == std::vector<PassedFd>{{9, 9}, {10, 10}, {11, 11}});
    CHECK(quoted(swtpm_setup(domain, tpm, place, 10)).find("--pwdfile-fd 10 --cipher aes-256-cbc") != std::string::npos);
    tpm.sha256 = tpm.sha512 = true;
    CHECK(quoted(swtpm_pcr_banks(tpm, place, -1)).find("--pcr-banks sha256,sha512 --reconfigure") != std::string::npos);
}
