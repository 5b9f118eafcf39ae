#!/usr/bin/python3
"""QEMU takes what the daemon makes of a document: every document that this host can run starts paused, and its devices are asked
for over QMP.

Documents are this file's own, one per device kind, and those of LODGE_CORPUS (any folder; below it *.in.xml) after what only
another host has is taken out or made up for: images, sockets, folders. LODGE_ACCEPT=all takes all of them; otherwise a sample
that keeps the test below a minute. What could not run is listed with the reason.
"""

import collections
import glob
import json
import os
import random
import re
import unittest
import xml.etree.ElementTree as ET

import libvirt
import libvirt_qemu
import suit
import world

WHOLE = os.environ.get("LODGE_ACCEPT") == "all"
SAMPLE = 60  # documents of the folder when not all are taken

# Refusals that say something about this host, not about the command line.
ABSENT_HERE = [
    r"does not support passthrough|VFIO|vfio", r"/dev/vhost-vsock|vhost-vsock", r"/dev/vhost-vdpa", r"hugetlbfs|hugepages|huge page",
    r"numad", r"NUMA node \d+ is unavailable", r"host_cdrom|/dev/cdrom", r"Unknown driver '(rbd|iscsi|gluster|ssh|nfs)'",
    r"Unknown protocol '(rbd|iscsi|gluster|ssh|nfs)'", r"module .* not found", r"egl: |EGL|OpenGL|opengl|render node|rendernode",
    r"requires KVM|accelerator|KVM is not available|only supported with KVM|requires kvm|host CPU",
    r"confidential guest support|SEV|sev", r"SGX", r"pulseaudio|PulseAudio|alsa|ALSA|Could not init `",
    r"Cannot allocate memory|cannot set up guest memory", r"HyperV VP_INDEX|kernel irqchip", r"satisfying vhost-user-gpu",
    r"phys-bits too low",
]
# Documents that name what no QEMU has, or contradict themselves, as far as the peer takes them too.
NO_QEMU_TAKES_IT = [
    r"is not a valid device model name", r"bus supports only 2 units", r"Bus 'ide\.\d' not found", r"-unknown: invalid option",
    r"Could not open 'ARGUMENT'", r"is equal to the initial memory size", r"supported by neither legacy nor transitional device",
    r"single function device can't be populated", r"more than one entry to Type 2 in SMBIOS table",
]


# Parts of a document that QEMU knows as devices by their alias, unless they are built into the machine.
DEVICES = {"disk", "controller", "interface", "serial", "channel", "hostdev", "tpm", "input", "video", "sound", "watchdog", "redirdev",
           "memballoon", "rng", "shmem", "vsock", "memory", "filesystem", "smartcard", "hub", "crypto"}
BUILT_IN = {("controller", "fdc"), ("controller", "ide"), ("controller", "isa"), ("input", "ps2")}
CHARACTER = {"serial", "parallel", "channel", "redirdev"}


def built_in(device):
    if device.tag == "controller" and device.get("type") == "pci":
        return device.get("model") in ("pci-root", "pcie-root")
    if device.tag == "controller" and device.get("model") == "none":
        return True
    if device.tag == "controller" and device.find("master") is not None:  # shares its name with the first
        return True
    if device.tag == "controller" and device.get("type") == "sata":
        return device.get("index") == "0"
    if device.tag == "sound" and device.get("model") == "pcspk" or device.tag == "watchdog" and device.get("model") in ("itco", "diag288"):
        return True
    if device.tag == "channel":  # a forwarded port is a network's affair
        return device.find("target").get("type") == "guestfwd"
    if device.tag in ("memballoon", "video") and "none" in (device.get("model"), model_type(device)):
        return True
    return bool({(device.tag, device.get("type")), (device.tag, device.get("bus")), (device.tag, device.get("model"))} & BUILT_IN)


def model_type(device):
    model = device.find("model")
    return None if model is None else model.get("type")


def is_device(device):
    return device.tag in DEVICES and not built_in(device)


class Accept(world.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        world.default_network()
        cls.host = suit.Host()

    @classmethod
    def tearDownClass(cls):
        cls.host.close()
        super().tearDownClass()

    def qmp(self, domain, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments})
        answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, text, 0))
        self.assertNotIn("error", answer, f"{command}: {answer}")
        return answer["return"]

    def started(self, text):
        """The domain, paused. Refused: throws."""
        return self.conn.createXML(text, libvirt.VIR_DOMAIN_START_PAUSED)

    def missing(self, domain):
        """What the running document has and QEMU has not."""
        live = ET.fromstring(domain.XMLDesc())
        peripherals = {e["name"] for e in self.qmp(domain, "qom-list", path="/machine/peripheral")}
        chardevs = {e["label"]: e for e in self.qmp(domain, "query-chardev")}
        nodes = {e["node-name"] for e in self.qmp(domain, "query-named-block-nodes")}
        aliases = collections.Counter(alias.get("name") for alias in live.iter("alias"))
        absent = []
        for device in live.find("devices"):
            alias = device.find("alias")
            if alias is None:
                continue
            alias = alias.get("name")
            if is_device(device) and alias not in peripherals:
                absent.append(f"{device.tag} {alias} is no device")
            if device.tag in CHARACTER and "char" + alias not in chardevs:
                absent.append(f"{device.tag} {alias} has no character device")
            address = device.find("address")
            if alias in peripherals and aliases[alias] == 1 and address is not None and address.get("type") == "pci":
                # Behind bridges nothing is counted before the guest's firmware ran: the devices are asked themselves.
                place = self.qmp(domain, "qom-get", path=f"/machine/peripheral/{alias}", property="addr")
                if place != int(address.get("slot"), 16) * 8 + int(address.get("function"), 16):
                    absent.append(f"{device.tag} {alias} is at {place}")
            if device.tag == "disk" and device.find("source") is not None and device.get("type") != "vhostuser":
                index = device.find("source").get("index")
                if f"libvirt-{index}-format" not in nodes:
                    absent.append(f"disk {alias} has no block node {index}")
        return absent

    def try_document(self, text):
        """None, or why it did not run."""
        try:
            domain = self.started(text)
        except libvirt.libvirtError as error:
            return str(error)
        try:
            absent = self.missing(domain)
            return "missing: " + "; ".join(absent) if absent else None
        finally:
            domain.destroy()

    def judge(self, documents):
        self.conn = self.connect()
        could_not, wrong, ran = collections.defaultdict(list), [], 0
        for name, text in documents:
            why = self.try_document(text)
            if why is None:
                ran += 1
            elif any(re.search(pattern, why) for pattern in ABSENT_HERE + NO_QEMU_TAKES_IT):
                could_not[why].append(name)
            else:
                wrong.append(f"{name}: {why}")
        print(f"{ran} documents run, {sum(map(len, could_not.values()))} cannot run here, {len(wrong)} are wrong")
        for why, names in sorted(could_not.items()):
            print(f"  {', '.join(names)}: {why}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        self.assertGreater(ran, 0)

    def test_every_kind_of_device(self):
        self.judge(suit.own_documents())

    @unittest.skipUnless(os.environ.get("LODGE_CORPUS"), "LODGE_CORPUS names no folder of documents")
    def test_documents_of_a_folder(self):
        paths = sorted(glob.glob(os.path.join(os.environ["LODGE_CORPUS"], "qemu*", "*.in.xml")))
        paths = [p for p in paths if not os.path.exists(p.replace(".in.xml", ".error.json"))]
        if not WHOLE:
            paths = random.Random(7).sample(paths, min(SAMPLE, len(paths)))
        documents = []
        for path in paths:
            with open(path, errors="replace") as f:
                suited = self.host.suit(f.read())
            if suited:
                documents.append((os.path.basename(path), suited))
        self.judge(documents)


if __name__ == "__main__":
    world.main()
