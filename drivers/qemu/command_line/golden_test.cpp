// Whole command lines of everyday guests, as they are run (not as they are shown to people).
#include "drivers/qemu/command_line/command_line.hpp"
#include "tests/catch.hpp"

using namespace lodge;
using namespace lodge::drivers::qemu;

namespace {

xml::Domain domain_of(const std::string& body) {
    auto domain = xml::parse_domain(body, {});
    assign_aliases(domain);
    return domain;
}

// One option with its value on each line.
std::string lines(const CommandLine& line) {
    std::string text;
    for (const auto& word : line.args) {
        const bool option = word.starts_with('-');
        if (!text.empty()) text += option ? "\n" : " ";
        text += word;
    }
    return text + "\n";
}

std::string guest(const std::string& type, const std::string& machine, const std::string& devices, const std::string& os = "") {
    return "<domain type='" + type +
           "'><name>g</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><memory unit='KiB'>262144</memory>"
           "<vcpu placement='static'>2</vcpu><os><type arch='x86_64' machine='" +
           machine + "'>hvm</type>" + os +
           "<boot dev='hd'/></os><features><acpi/></features>"
           "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>"
           "<clock offset='utc'/><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>" +
           devices + "</devices></domain>";
}

BuildContext running(int id) {
    BuildContext ctx;
    ctx.id = id;
    ctx.fds["monitor"] = 3;
    return ctx;
}

const std::string q35_disks = R"(
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' discard='unmap'/>
  <source file='/img/o.qcow2'/>
  <backingStore type='file'><format type='raw'/><source file='/img/b.raw'/><backingStore/></backingStore>
  <target dev='vda' bus='virtio'/><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></disk>
<controller type='pci' index='0' model='pcie-root'/>
<controller type='pci' index='1' model='pcie-root-port'><model name='pcie-root-port'/><target chassis='1' port='0x8'/>
  <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0' multifunction='on'/></controller>
<controller type='sata' index='0'><address type='pci' domain='0x0000' bus='0x00' slot='0x1f' function='0x2'/></controller>
<interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='virbr0'/><model type='virtio'/>
  <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>
<serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
<console type='pty'><target type='serial' port='0'/></console>
<memballoon model='none'/>)";

} // namespace

TEST_CASE("a q35 guest with a backing chain and a tap of two queues") {
    auto ctx = running(7);
    ctx.nics["net0"] = {{10, 11}, {12, 13}, -1};
    const auto line = build(domain_of(guest("kvm", "pc-q35-7.2", q35_disks)), ctx);
    CHECK(line.program == "/usr/bin/qemu-system-x86_64");
    CHECK(line.fds == std::vector<int>{3, 10, 11, 12, 13});
    CHECK(line.env[2] == "HOME=/var/lib/libvirt/qemu/domain-7-g");
    CHECK(lines(line) ==
          R"(-name guest=g,debug-threads=on
-S
-object {"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-7-g/master-key.aes"}
-machine pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram
-accel kvm
-cpu qemu64
-m 256
-object {"qom-type":"memory-backend-ram","id":"pc.ram","size":268435456}
-overcommit mem-lock=off
-smp 2,sockets=2,cores=1,threads=1
-uuid c7a5fdbd-edaf-9455-926a-d65c16db1809
-display none
-no-user-config
-nodefaults
-chardev socket,id=charmonitor,fd=3,server=on,wait=off
-mon chardev=charmonitor,id=monitor,mode=control
-rtc base=utc
-no-shutdown
-boot strict=on
-device {"driver":"pcie-root-port","port":8,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x1"}
-blockdev {"driver":"file","filename":"/img/b.raw","node-name":"libvirt-2-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}
-blockdev {"node-name":"libvirt-2-format","read-only":true,"cache":{"direct":true,"no-flush":false},"discard":"unmap","driver":"raw","file":"libvirt-2-storage"}
-blockdev {"driver":"file","filename":"/img/o.qcow2","node-name":"libvirt-1-storage","cache":{"direct":true,"no-flush":false},"auto-read-only":true,"discard":"unmap"}
-blockdev {"node-name":"libvirt-1-format","read-only":false,"cache":{"direct":true,"no-flush":false},"discard":"unmap","driver":"qcow2","file":"libvirt-1-storage","backing":"libvirt-2-format"}
-device {"driver":"virtio-blk-pci","bus":"pci.1","addr":"0x0","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1,"write-cache":"on"}
-netdev {"type":"tap","fds":"10:11","vhost":true,"vhostfds":"12:13","id":"hostnet0"}
-device {"driver":"virtio-net-pci","mq":true,"vectors":6,"netdev":"hostnet0","id":"net0","mac":"52:54:00:11:22:33","bus":"pcie.0","addr":"0x3"}
-chardev pty,id=charserial0
-device {"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-msg timestamp=on
)");
}

TEST_CASE("a pc guest that boots a kernel, with user networking") {
    const std::string devices = R"(
<controller type='pci' index='0' model='pci-root'/>
<controller type='usb' index='0' model='piix3-uhci'>
  <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x2'/></controller>
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='hdc' bus='ide'/><readonly/>
  <address type='drive' controller='0' bus='1' target='0' unit='0'/></disk>
<interface type='user'><mac address='52:54:00:11:22:33'/><model type='e1000'/>
  <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>
<input type='tablet' bus='usb'><alias name='ua-pen'/><address type='usb' bus='0' port='1'/></input>
<graphics type='vnc' port='5907' autoport='no' listen='127.0.0.1' passwd='x'><listen type='address' address='127.0.0.1'/></graphics>
<audio id='1' type='none'/>
<video><model type='vga' vram='16384' heads='1' primary='yes'/>
  <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/></video>
<memballoon model='virtio'><address type='pci' domain='0x0000' bus='0x00' slot='0x04' function='0x0'/></memballoon>)";
    const auto domain = domain_of(
        guest("qemu", "pc-i440fx-7.2", devices, "<kernel>/k</kernel><initrd>/i</initrd><cmdline>console=ttyS0 a,b</cmdline>"));
    const std::string text = lines(build(domain, running(1)));
    const std::string tail = text.substr(text.find("-boot "));
    CHECK(text.contains("\n-accel tcg\n"));
    CHECK_FALSE(text.contains("-display none"));
    CHECK(tail == R"(-boot strict=on
-kernel /k
-initrd /i
-append console=ttyS0 a,b
-device {"driver":"piix3-usb-uhci","id":"usb","bus":"pci.0","addr":"0x1.0x2"}
-device {"driver":"ide-cd","bus":"ide.1","unit":0,"id":"ide0-1-0"}
-netdev {"type":"user","id":"hostnet0"}
-device {"driver":"e1000","netdev":"hostnet0","id":"net0","mac":"52:54:00:11:22:33","bus":"pci.0","addr":"0x3"}
-device {"driver":"usb-tablet","id":"ua-pen","bus":"usb.0","port":"1"}
-audiodev {"id":"audio1","driver":"none"}
-vnc 127.0.0.1:7,password=on,audiodev=audio1
-device {"driver":"VGA","id":"video0","vgamem_mb":16,"bus":"pci.0","addr":"0x2"}
-device {"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.0","addr":"0x4"}
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-msg timestamp=on
)");
}

TEST_CASE("what was opened before goes by descriptor") {
    const std::string devices = R"(
<controller type='pci' index='0' model='pci-root'/>
<controller type='virtio-serial' index='0'><address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></controller>
<serial type='file'><source path='/log'/><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
<channel type='unix'><source mode='bind' path='/agent'/><target type='virtio' name='org.qemu.guest_agent.0'/>
  <address type='virtio-serial' controller='0' bus='0' port='1'/></channel>
<memballoon model='none'/>)";
    auto ctx = running(2);
    ctx.fds["charserial0"] = 8;
    ctx.fds["charchannel0"] = 9;
    const auto line = build(domain_of(guest("qemu", "pc-i440fx-7.2", devices)), ctx);
    const std::string text = lines(line);
    CHECK(line.fds == std::vector<int>{3, 8, 9});
    CHECK(text.contains("\n-add-fd set=1,fd=8,opaque=charserial0\n-chardev file,id=charserial0,path=/dev/fdset/1,append=on\n"));
    CHECK(text.contains("\n-chardev socket,id=charchannel0,fd=9,server=on,wait=off\n"));
}

TEST_CASE("names of devices") {
    const std::string devices = R"(
<disk type='file' device='disk'><source file='/a'/><target dev='vdab' bus='virtio'/></disk>
<disk type='file' device='disk'><source file='/b'/><target dev='sda' bus='scsi'/><address type='drive' controller='0' bus='0' target='1' unit='2'/></disk>
<controller type='scsi' index='0' model='virtio-scsi'/>
<controller type='usb' index='1' model='qemu-xhci'/>
<interface type='user'><alias name='ua-mine'/></interface><interface type='user'/>
<serial type='pty'/><console type='pty'/><console type='pty'><target type='virtio'/></console>)";
    const auto domain = domain_of(guest("qemu", "pc-q35-7.2", devices));
    CHECK(domain.devices.disks[0].info.alias == "virtio-disk27");
    CHECK(domain.devices.disks[1].info.alias == "scsi0-0-1-2");
    CHECK(domain.devices.disks[0].source.index == 2u);
    CHECK(domain.devices.disks[1].source.index == 1u);
    CHECK(domain.devices.controllers[0].info.alias == "scsi0");
    CHECK(domain.devices.controllers[1].info.alias == "usb1");
    CHECK(domain.devices.interfaces[0].info.alias == "ua-mine");
    CHECK(domain.devices.interfaces[1].info.alias == "net0");
    CHECK(domain.devices.consoles[0].info.alias == "serial0");
    CHECK(domain.devices.consoles[1].info.alias == "console1");
}

TEST_CASE("what QEMU cannot do is refused by name") {
    const auto refusal = [](const std::string& devices) {
        try {
            BuildContext ctx;
            build(domain_of(guest("qemu", "pc-q35-7.2", devices)), ctx);
        } catch (const rpc::Error& e) {
            return e.message();
        }
        return std::string();
    };
    CHECK(refusal("<video><model type='xen'/></video>") ==
          "unsupported configuration: video type 'xen' is not supported with QEMU");
    CHECK(refusal("<watchdog model='diag288' action='reset'/>") ==
          "unsupported configuration: diag288 model of watchdog is allowed for s390 and s390x only");
    CHECK(refusal("<disk type='file' device='disk'><source file='/a'/><target dev='xvda' bus='xen'/></disk>")
              .contains("disk bus 'xen'"));
}
