#include "tests/catch.hpp"
#include "xml/capabilities.hpp"
#include "xml/domain_capabilities.hpp"
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lodge::xml {

TEST_CASE("capabilities read and write as libvirt formats them") {
    const auto text = R"(<capabilities>

  <host>
    <uuid>4ba3a938-8d30-497b-9a4e-9cf7d247a1d1</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>Broadwell</model>
      <vendor>Intel</vendor>
      <microcode version='1'/>
      <signature family='6' model='167' stepping='1'/>
      <counter name='tsc' frequency='2599998000' scaling='no'/>
      <topology sockets='1' dies='1' cores='2' threads='1'/>
      <maxphysaddr mode='emulate' bits='48'/>
      <feature name='vme'/>
      <pages unit='KiB' size='4'/>
    </cpu>
    <power_management/>
    <iommu support='no'/>
    <migration_features>
      <live/>
      <uri_transports>
        <uri_transport>tcp</uri_transport>
      </uri_transports>
    </migration_features>
    <topology>
      <cells num='1'>
        <cell id='0'>
          <memory unit='KiB'>6645964</memory>
          <pages unit='KiB' size='4'>1661491</pages>
          <pages unit='KiB' size='2048'>0</pages>
          <distances>
            <sibling id='0' value='10'/>
          </distances>
          <cpus num='2'>
            <cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0'/>
            <cpu id='1' socket_id='0' die_id='0' core_id='1' siblings='1'/>
          </cpus>
        </cell>
      </cells>
    </topology>
    <cache>
      <bank id='0' level='3' type='both' size='480' unit='MiB' cpus='0-1'/>
    </cache>
    <secmodel>
      <model>dac</model>
      <doi>0</doi>
      <baselabel type='kvm'>+64055:+64055</baselabel>
    </secmodel>
  </host>

  <guest>
    <os_type>hvm</os_type>
    <arch name='i686'>
      <wordsize>32</wordsize>
      <emulator>/usr/bin/qemu-system-i386</emulator>
      <machine maxCpus='255'>pc-i440fx-7.2</machine>
      <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
      <machine maxCpus='255' deprecated='yes'>pc-i440fx-1.5</machine>
      <domain type='qemu'/>
      <domain type='kvm'/>
    </arch>
    <features>
      <pae/>
      <nonpae/>
      <acpi default='on' toggle='yes'/>
      <apic default='on' toggle='no'/>
      <cpuselection/>
      <deviceboot/>
      <disksnapshot default='on' toggle='no'/>
    </features>
  </guest>

</capabilities>
)";
    CHECK(format_capabilities(parse_capabilities(text, {})) == text);
}

TEST_CASE("domain capabilities of the corpus read back to the letter") {
    const auto* corpus = std::getenv("LODGE_CORPUS");
    if (!corpus) {
        WARN("skipped: LODGE_CORPUS does not name the corpus");
        return;
    }
    unsigned count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(corpus) / "capabilities")) {
        if (!entry.path().string().ends_with(".out.xml")) continue;
        std::ifstream in(entry.path());
        std::ostringstream text;
        text << in.rdbuf();
        INFO(entry.path());
        CHECK(format_domain_capabilities(parse_domain_capabilities(text.str(), {})) == text.str());
        ++count;
    }
    CHECK(count > 0);
}

TEST_CASE("random capabilities read back as they were written") {
    for (unsigned seed = 0; seed < 100; ++seed) {
        Random random(seed);
        const auto host = format(random_value<Capabilities>(random), "capabilities");
        REQUIRE(format(parse_capabilities(host, {}), "capabilities") == host);
        const auto domain = format_domain_capabilities(random_value<DomainCapabilities>(random));
        REQUIRE(format_domain_capabilities(parse_domain_capabilities(domain, {})) == domain);
    }
}

} // namespace lodge::xml
