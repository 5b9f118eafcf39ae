"""Documents for accept_test: one of our own per device kind, and how a document of another host is made to run on this one."""

import contextlib
import os
import socket
import subprocess
import threading
import xml.etree.ElementTree as ET

import world

FOLDER = "/var/lib/libvirt/images/accept"
SOCKETS = "/run/tmp"

# ---- our own: name -> what stands in <devices>, and outside of it ----

DISK = "<disk type='{type}' device='{device}'><driver name='qemu' type='{format}'{more}/>{source}<target dev='{dev}' bus='{bus}'/>{end}</disk>"


def disk(dev, bus, device="disk", format="raw", more="", end="", source=None):
    source = source if source is not None else f"<source file='{FOLDER}/{dev}.{format}'/>"
    return DISK.format(type="file", device=device, format=format, more=more, source=source, dev=dev, bus=bus, end=end)


def nic(kind, rest="", model="virtio"):
    return f"<interface type='{kind}'>{rest}<model type='{model}'/></interface>"


SPICE = "<graphics type='spice' autoport='yes'/><video><model type='qxl'/></video>"
SCSI = "<controller type='scsi' index='0' model='virtio-scsi'/>"
DEVICES = {
    "disk-virtio": disk("vda", "virtio") + disk("vdb", "virtio", format="qcow2", more=" cache='none' io='native' discard='unmap' detect_zeroes='unmap'"),
    "disk-options": disk("vda", "virtio", more=" queues='4' queue_size='256' werror='stop' rerror='report' iothread='1'",
                         end="<blockio logical_block_size='512' physical_block_size='4096'/><serial>abc</serial><boot order='1'/>"),
    "disk-scsi": SCSI + disk("sda", "scsi", end="<wwn>5000c50015ea71ac</wwn><vendor>ACME</vendor><product>disk</product>") + disk("sdb", "scsi", device="cdrom"),
    "disk-sata": disk("sda", "sata", end="<serial>x</serial>") + disk("sdb", "sata", device="cdrom"),
    "disk-usb": disk("sda", "usb"),
    "disk-floppy": disk("fda", "fdc", device="floppy"),
    "disk-empty-cdrom": disk("sda", "sata", device="cdrom", source=""),
    "disk-throttled": disk("vda", "virtio", end="<iotune><total_bytes_sec>1000000</total_bytes_sec><read_iops_sec>100</read_iops_sec><write_iops_sec>90</write_iops_sec></iotune>"),
    "disk-copy-on-read": disk("vda", "virtio", format="qcow2", more=" copy_on_read='on'"),
    "disk-slice": disk("vda", "virtio", source=f"<source file='{FOLDER}/own.raw'><slices><slice type='storage' offset='4096' size='1048576'/></slices></source>"),
    "disk-chain": disk("vda", "virtio", format="qcow2", source=f"<source file='{FOLDER}/top.qcow2'/><backingStore type='file'><format type='qcow2'/><source file='{FOLDER}/own.qcow2'/><backingStore/></backingStore>"),
    "disk-nbd": f"<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='own'><host transport='unix' socket='{SOCKETS}/nbd.sock'/></source><target dev='vda' bus='virtio'/></disk>",
    "controllers": "".join(f"<controller type='scsi' index='{i}' model='{m}'/>" for i, m in enumerate(["virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "vmpvscsi", "am53c974", "dc390"]))
    + "<controller type='virtio-serial' index='0' ports='8' vectors='4'/><controller type='sata' index='1'/>",
    "controllers-usb": "<controller type='usb' index='0' model='ich9-ehci1'/><controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/></controller>"
    "<controller type='usb' index='0' model='ich9-uhci2'><master startport='2'/></controller><controller type='usb' index='1' model='qemu-xhci' ports='8'/><controller type='usb' index='2' model='nec-xhci'/>",
    "controllers-pci": "<controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='1' model='dmi-to-pci-bridge'/><controller type='pci' index='2' model='pci-bridge'/>"
    "<controller type='pci' index='3' model='pcie-root-port'/><controller type='pci' index='4' model='pcie-switch-upstream-port'/><controller type='pci' index='5' model='pcie-switch-downstream-port'/>"
    "<controller type='pci' index='6' model='pcie-expander-bus'><target busNr='200'/></controller>",
    "controller-ccid": "<controller type='ccid' index='0'/>",
    "nic-models": "".join(nic("user", model=m) for m in ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "i82559er", "vmxnet3", "virtio-transitional")),
    "nic-network": nic("network", "<source network='default'/>", "virtio") + nic("bridge", "<source bridge='virbr0'/>", "e1000"),
    "nic-queues": nic("network", "<source network='default'/><driver queues='2' rx_queue_size='512' event_idx='off'><host csum='off' gso='off'/><guest tso4='off'/></driver><mtu size='1400'/><link state='down'/>"),
    "nic-ethernet": nic("ethernet", "<target dev='tap-own'/>"),
    "nic-sockets": nic("server", "<source address='127.0.0.1' port='5558'/>", "e1000") + nic("mcast", "<source address='230.0.0.1' port='5559'/>", "e1000")
    + nic("udp", "<source address='127.0.0.1' port='5560'><local address='127.0.0.1' port='5561'/></source>", "e1000"),
    "nic-user-address": nic("user", "<ip family='ipv4' address='172.17.2.0' prefix='24'/><ip family='ipv6' address='2001:db8:ac10:fd01::' prefix='64'/>"),
    "serials": "<serial type='pty'/><serial type='null'/><serial type='file'><source path='/var/log/libvirt/qemu/own-serial.log'/></serial><serial type='udp'><source mode='bind' host='127.0.0.1' service='5570'/><source mode='connect' host='127.0.0.1' service='5571'/></serial>",
    "serial-sockets": f"<serial type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/own-serial.sock'/><log file='/var/log/libvirt/qemu/own-log.log' append='on'/></serial><serial type='tcp'><source mode='bind' host='127.0.0.1' service='5572'/><protocol type='telnet'/></serial>"
    f"<serial type='tcp'><source mode='connect' host='127.0.0.1' service='5599'/><protocol type='raw'/></serial><serial type='unix'><source mode='connect' path='{SOCKETS}/peer.sock'/></serial>",
    "serial-models": "<serial type='pty'><target type='pci-serial'><model name='pci-serial'/></target></serial><serial type='pty'><target type='usb-serial'><model name='usb-serial'/></target></serial><serial type='pty'><target type='isa-debug'><model name='isa-debugcon'/></target><address type='isa' iobase='0x402'/></serial>",
    "parallel": "<parallel type='null'/>",
    "channels": "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><channel type='pty'><target type='virtio' name='own.pty'/></channel><channel type='unix'><target type='virtio'/></channel>"
    "<channel type='qemu-vdagent'><source><clipboard copypaste='yes'/><mouse mode='client'/></source><target type='virtio'/></channel>",
    "channel-guestfwd": "<channel type='pty'><target type='guestfwd' address='10.0.2.1' port='4600'/></channel>" + nic("user"),
    "consoles": "<console type='pty'><target type='serial'/></console><console type='pty'><target type='virtio'/></console><console type='null'><target type='virtio'/></console>",
    "spice": SPICE + "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel><channel type='spiceport'><source channel='org.own.0'/><target type='virtio' name='org.own.0'/></channel>"
    "<redirdev bus='usb' type='spicevmc'/><sound model='ich9'/><smartcard mode='passthrough' type='spicevmc'/>",
    "spice-options": "<graphics type='spice' port='-1' autoport='yes' passwd='sekrit'><listen type='address' address='127.0.0.1'/><image compression='auto_glz'/><jpeg compression='auto'/><zlib compression='never'/><playback compression='on'/><streaming mode='filter'/><mouse mode='client'/><clipboard copypaste='no'/><filetransfer enable='no'/></graphics><video><model type='qxl' ram='65536' vram='65536' vgamem='16384' heads='1' primary='yes'/></video><video><model type='qxl'/></video>",
    "spice-socket": "<graphics type='spice'><listen type='socket'/></graphics><video><model type='virtio'/></video>",
    "vnc": "<graphics type='vnc' port='-1' passwd='sekrit' keymap='de' sharePolicy='force-shared' websocket='-1'/><video><model type='vga' vram='16384'/></video>",
    "vnc-socket": "<graphics type='vnc'><listen type='socket'/></graphics><video><model type='bochs' vram='16384' primary='yes'/></video>",
    "vnc-none": "<graphics type='vnc'><listen type='none'/></graphics><video><model type='cirrus'/></video>",
    "dbus": "<graphics type='dbus' p2p='yes'/><video><model type='virtio'/></video>",
    "videos": "".join(f"<graphics type='vnc' port='-1'/><video><model type='{m}'/></video>" if i == 0 else f"<video><model type='{m}'/></video>" for i, m in enumerate(["virtio", "virtio"])),
    "video-vmvga": "<graphics type='vnc' port='-1'/><video><model type='vmvga' vram='16384'/></video>",
    "video-ramfb": "<graphics type='vnc' port='-1'/><video><model type='ramfb'/></video>",
    "inputs": "".join(f"<input type='{t}' bus='{b}'/>" for t, b in [("tablet", "usb"), ("mouse", "usb"), ("keyboard", "usb"), ("tablet", "virtio"), ("mouse", "virtio"), ("keyboard", "virtio")]),
    "hub": "<hub type='usb'/><input type='tablet' bus='usb'/>",
    "sounds": "".join(f"<sound model='{m}'/>" for m in ("ich6", "ich9", "ac97", "es1370", "sb16")) + "<audio id='1' type='none'/>",
    "sound-codecs": "<sound model='ich6'><codec type='micro'/><codec type='duplex'/></sound><sound model='usb'/><audio id='1' type='file' path='/dev/null'/>",
    "sound-pcspk": "<sound model='pcspk'/>",
    "watchdogs": "<watchdog model='i6300esb' action='poweroff'/>",
    "watchdog-ib700": "<watchdog model='ib700' action='inject-nmi'/>",
    "balloon": "<memballoon model='virtio' autodeflate='on' freePageReporting='on'><stats period='5'/></memballoon>",
    "rngs": "<rng model='virtio'><backend model='random'>/dev/urandom</backend><rate bytes='1024' period='1000'/></rng><rng model='virtio'><backend model='builtin'/></rng>",
    "rng-egd": "<rng model='virtio'><backend model='egd' type='udp'><source mode='bind' service='5580'/><source mode='connect' host='127.0.0.1' service='5581'/></backend></rng>",
    "tpm": "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>",
    "tpm-crb": "<tpm model='tpm-crb'><backend type='emulator' version='2.0'><active_pcr_banks><sha256/></active_pcr_banks></backend></tpm>",
    "filesystem-9p": f"<filesystem type='mount' accessmode='mapped'><source dir='{FOLDER}/shared'/><target dir='own'/></filesystem><filesystem type='mount' accessmode='squash' multidevs='remap'><driver type='path' wrpolicy='immediate'/><source dir='{FOLDER}/shared'/><target dir='own2'/><readonly/></filesystem>",
    "panics": "<panic model='isa'/><panic model='pvpanic'/>",
    "shmem": "<shmem name='own-plain'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
    "vsock": "<vsock model='virtio'><cid auto='yes'/></vsock>",
    "crypto": "<crypto model='virtio' type='qemu'><backend model='builtin' queues='1'/></crypto>",
    "smartcard": "<smartcard mode='passthrough' type='tcp'><source mode='bind' host='127.0.0.1' service='5590'/><protocol type='raw'/></smartcard>",
    "redirdev": f"<redirdev bus='usb' type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/own-redir.sock'/></redirdev><redirfilter><usbdev class='0x08' vendor='0x1234' product='0xBEEF' version='2.56' allow='yes'/><usbdev allow='no'/></redirfilter>",
    "iommu": "<iommu model='intel'><driver intremap='on' caching_mode='on' iotlb='on'/></iommu>",
}
OUTSIDE = {
    "disk-options": "<iothreads>1</iothreads>",
    "iommu": "<vcpu>2</vcpu><features><acpi/><ioapic driver='qemu'/></features>",
    "panics": "<features><acpi/></features>",
}
# What stands in the document's head alone.
HEADS = {
    "memory-file": "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>",
    "memory-memfd": "<memoryBacking><source type='memfd'/><access mode='shared'/><allocation mode='immediate'/><discard/></memoryBacking>",
    "memory-locked": "<memoryBacking><nosharepages/></memoryBacking>",
    "numa": "<vcpu>2</vcpu><cpu><topology sockets='2' cores='1' threads='1'/><numa><cell id='0' cpus='0' memory='32' unit='MiB'><distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances></cell><cell id='1' cpus='1' memory='32' unit='MiB' memAccess='shared'/></numa></cpu>",
    "iothreads": "<iothreads>2</iothreads><iothreadids><iothread id='5' thread_pool_min='1' thread_pool_max='4'/></iothreadids><defaultiothread thread_pool_min='2' thread_pool_max='8'/>",
    "sysinfo": "<sysinfo type='smbios'><bios><entry name='vendor'>LENOVO</entry></bios><system><entry name='manufacturer'>A, B</entry></system><baseBoard><entry name='serial'>CZ</entry></baseBoard><chassis><entry name='asset'>1</entry></chassis><oemStrings><entry>own:string</entry></oemStrings></sysinfo><sysinfo type='fwcfg'><entry name='opt/own/a'>value</entry></sysinfo>",
    "clock": "<clock offset='variable' adjustment='60' basis='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/><timer name='hpet' present='no'/></clock>",
    "cpu": "<vcpu current='1'>4</vcpu><cpu mode='custom' match='exact'><model>qemu64</model><topology sockets='1' dies='2' cores='2' threads='1'/><feature policy='require' name='ssse3'/><feature policy='disable' name='svm'/><cache level='3' mode='emulate'/></cpu>",
    "features": "<features><acpi/><apic/><pae/><vmport state='off'/><smm state='on'><tseg unit='MiB'>48</tseg></smm><vmcoreinfo state='on'/></features><pm><suspend-to-mem enabled='yes'/><suspend-to-disk enabled='no'/></pm>",
    "genid": "<genid>e9392370-2917-565e-692b-d057f46512d6</genid>",
    "memory-devices": "<maxMemory slots='4' unit='MiB'>512</maxMemory><cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>",
}
DEVICES["memory-devices"] = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"


def own_documents():
    for name in sorted({*DEVICES, *HEADS}):
        head = OUTSIDE.get(name, "") + HEADS.get(name, "")
        machine = "pc" if name in ("watchdog-ib700", "disk-floppy") else "q35"
        features = "" if "<features>" in head else "<features><acpi/></features>"
        yield name, f"""<domain type='qemu'><name>own-{name}</name><memory unit='MiB'>{192 if name == "memory-devices" else 64}</memory>{head}
<os><type arch='x86_64' machine='{machine}'>hvm</type></os>{features}<devices>{DEVICES.get(name, '')}</devices></domain>"""


# ---- others' ----


class Host:
    """What documents expect of a host: images, folders, somebody behind each socket."""

    def __init__(self):
        self.children, self.sockets, self.number = [], [], 0
        os.makedirs(f"{FOLDER}/shared", exist_ok=True)
        for name in ("own", "nbd", "vda", "vdb", "sda", "sdb", "fda"):
            for form in ("raw", "qcow2"):
                self.image(f"{FOLDER}/{name}.{form}", form)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", f"{FOLDER}/own.qcow2", f"{FOLDER}/top.qcow2"], check=True)
        nbd = ["qemu-nbd", "--persistent", "--shared=0", "--export-name=own", "--format=raw", f"--socket={SOCKETS}/nbd.sock", f"{FOLDER}/nbd.raw"]
        self.children.append(subprocess.Popen(nbd, stderr=subprocess.DEVNULL))
        world.wait_for(lambda: os.path.exists(f"{SOCKETS}/nbd.sock"), 10, "qemu-nbd's socket")
        os.chmod(f"{SOCKETS}/nbd.sock", 0o666)
        self.listen(socket.AF_UNIX, f"{SOCKETS}/peer.sock")
        self.listen(socket.AF_INET, ("127.0.0.1", 5599))

    def close(self):
        for child in self.children:
            child.terminate()
            child.wait()
        for peer in self.sockets:
            peer.close()

    @staticmethod
    def image(path, form):
        if not os.path.exists(path):
            subprocess.run(["qemu-img", "create", "-q", "-f", form, path, "8M"], check=True)
        os.chmod(path, 0o666)

    def listen(self, family, address):
        """Takes every connection and says nothing."""
        peer = socket.socket(family)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_UNIX:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)
        peer.bind(address)
        if family == socket.AF_UNIX:
            os.chmod(address, 0o666)
        peer.listen(64)
        self.sockets.append(peer)

        def accept():
            taken = []
            with contextlib.suppress(OSError):
                while True:
                    taken.append(peer.accept())

        threading.Thread(target=accept, daemon=True).start()

    # ---- a document of another host ----

    def suit(self, text):
        """The document as it can run here; None for what is no x86 guest of QEMU."""
        try:
            root = ET.fromstring(text)
        except ET.ParseError:
            return None
        if root.tag != "domain" or root.get("type") not in ("qemu", "kvm"):
            return None
        kind = root.find("os/type")
        if kind is None or kind.text != "hvm" or kind.get("arch", "x86_64") not in ("x86_64", "i686"):
            return None
        root.set("type", "qemu")
        self.number += 1
        root.find("name").text = f"suited-{self.number}"
        uuid = root.find("uuid")
        if uuid is not None:
            root.remove(uuid)
        self._head(root)
        devices = root.find("devices")
        if devices is not None:
            for device in list(devices):
                if not self._device(device):
                    devices.remove(device)
        return ET.tostring(root, encoding="unicode")

    def _head(self, root):
        for name in ("cputune", "numatune", "blkiotune", "memtune", "resource", "seclabel", "launchSecurity", "idmap", "perf"):
            for part in root.findall(name):
                root.remove(part)
        backing = root.find("memoryBacking")
        if backing is not None:
            for part in list(backing):
                if part.tag in ("hugepages", "locked", "allocation"):
                    backing.remove(part)
        cpu = root.find("cpu")
        if cpu is not None and cpu.get("mode") in ("host-passthrough", "host-model", "maximum"):
            for name in ("mode", "check", "migratable"):
                cpu.attrib.pop(name, None)
            for part in list(cpu):
                if part.tag not in ("topology", "numa"):
                    cpu.remove(part)
        for vcpu in root.findall("vcpu"):
            for name in ("placement", "cpuset"):
                vcpu.attrib.pop(name, None)
        guest = root.find("os")
        for name in ("kernel", "initrd", "dtb", "loader", "nvram", "acpi", "cmdline"):
            for part in guest.findall(name):
                guest.remove(part)
        guest.attrib.pop("firmware", None)
        for part in guest.findall("firmware"):
            guest.remove(part)
        emulator = root.find("devices/emulator")
        if emulator is not None:
            emulator.text = "/usr/bin/qemu-system-x86_64"

    def _device(self, device):
        """Makes up for what the device refers to; False: it cannot be had here."""
        kind = device.get("type")
        if device.tag in ("hostdev", "nvram", "lease"):
            return False
        for rom in device.findall("rom"):
            device.remove(rom)
        if device.tag == "disk":
            return self._disk(device)
        if device.tag == "interface":
            return self._interface(device)
        if device.tag == "filesystem":
            source = device.find("source")
            if kind != "mount" or source is None or source.get("dir") is None:
                return False
            source.set("dir", f"{FOLDER}/shared")
            return True
        if device.tag == "graphics":
            return kind in ("vnc", "spice") and self._graphics(device)
        if device.tag == "tpm":
            backend = device.find("backend")
            return backend is not None and backend.get("type") == "emulator"
        if device.tag == "smartcard" and device.get("mode") != "passthrough":
            return False
        if device.tag == "memory" and device.get("model") in ("nvdimm", "virtio-pmem", "sgx-epc"):
            path = device.find("source/path")
            if path is None:
                return False
            size = int(device.find("target/size").text)
            path.text = f"{FOLDER}/nvdimm-{self.number}"
            with open(path.text, "wb") as f:
                f.truncate((size + 2047) // 2048 * 2048 * 1024)
            os.chmod(path.text, 0o666)
        if device.tag == "input" and kind in ("passthrough", "evdev"):
            return False
        if device.tag == "audio" and kind in ("alsa", "pulseaudio", "jack", "oss", "sdl", "coreaudio", "spice"):
            device.set("type", "none")
            for part in list(device):
                device.remove(part)
            for name in list(device.attrib):
                if name not in ("id", "type"):
                    del device.attrib[name]
        if device.tag == "video" and device.find("model/acceleration") is not None:
            device.find("model").remove(device.find("model/acceleration"))
        if device.tag == "rng" and device.find("backend") is None:
            return False
        if device.tag == "rng" and device.find("backend").get("model") == "random":
            device.find("backend").text = "/dev/urandom"
        return self._chardev(device.find("backend") if device.tag == "rng" else device)

    def _chardev(self, device):
        kind = device.get("type")
        log = device.find("log")
        if log is not None:
            log.set("file", "/var/log/libvirt/qemu/accept.log")
        for source in device.findall("source"):
            if kind == "file":
                source.set("path", "/var/log/libvirt/qemu/accept-char.log")
            if kind == "unix" and source.get("mode") != "bind":
                source.set("path", f"{SOCKETS}/peer.sock")
            elif kind == "unix":
                self.number += 1
                source.set("path", f"/var/lib/libvirt/qemu/accept-{self.number}.sock")
            if kind == "tcp" and source.get("mode") != "bind":
                source.set("host", "127.0.0.1")
                source.set("service", "5599")
            elif kind == "tcp":
                self.number += 1
                source.set("host", "127.0.0.1")
                source.set("service", str(20000 + self.number))
        return kind not in ("dev", "pipe", "stdio", "nmdm", "vc", "dbus")

    def _disk(self, device):
        source = device.find("source")
        for part in device.findall("backingStore") + device.findall("mirror") + device.findall("encryption") + device.findall("auth"):
            device.remove(part)
        if device.get("type") == "vhostuser" or device.get("device") == "lun":
            return False
        if source is None:
            return True
        for name in list(source.attrib):
            if name not in ("index", "startupPolicy"):
                del source.attrib[name]
        slices = source.find("slices")
        for part in list(source):
            source.remove(part)
        del slices
        device.set("type", "file")
        driver = device.find("driver")
        form = driver.get("type", "raw") if driver is not None else "raw"
        if form not in ("raw", "qcow2", "vmdk", "vdi", "vpc", "qed", "qcow", "parallels"):
            if driver is not None:
                driver.set("type", "raw")
            form = "raw"
        if driver is not None and driver.get("io") == "io_uring":
            del driver.attrib["io"]
        self.number += 1
        path = f"{FOLDER}/disk-{self.number}"
        self.image(path, form)
        source.set("file", path)
        return True

    @staticmethod
    def _interface(device):
        kind = device.get("type")
        for name in ("virtualport", "vlan", "script", "downscript", "bandwidth", "filterref", "backend"):
            for part in device.findall(name):
                device.remove(part)
        target = device.find("target")
        if target is not None:
            device.remove(target)
        source = device.find("source")
        if kind in ("network", "bridge", "direct"):
            device.set("type", "network")
            for name in list(source.attrib):
                del source.attrib[name]
            for part in list(source):
                source.remove(part)
            source.set("network", "default")
            return True
        if kind in ("server", "udp"):
            source.set("address", "127.0.0.1")
            for local in source.findall("local"):
                local.set("address", "127.0.0.1")
        return kind in ("user", "ethernet", "mcast", "server", "udp")

    @staticmethod
    def _graphics(device):
        for part in device.findall("gl") + device.findall("channel"):
            device.remove(part)
        for name in ("tlsPort", "defaultMode", "passwdValidTo", "connected", "socket", "keymap"):
            device.attrib.pop(name, None)
        device.attrib.pop("listen", None)
        device.set("port", "-1")
        device.set("autoport", "yes")
        device.attrib.pop("websocket", None)
        for part in device.findall("listen"):
            device.remove(part)
        return True
