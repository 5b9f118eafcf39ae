"""Documents to ask both daemons about: libvirt's own, changed a little, and ones that its schemas allow."""

import copy
import glob
import os
import random
import re
import xml.etree.ElementTree as ET

import grammar

ET.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")

# kind: root element, schema, folders of the corpus; what is asked for devices, see answer.py
KINDS = {
    "domain": ("domain", "domain.rng", ["qemuxml2argvdata", "qemuxml2xmloutdata", "genericxml2xmlindata", "domainschemadata", "qemuhotplugtestdomains"]),
    "network": ("network", "network.rng", ["networkxml2xmlin", "networkxml2confdata", "networkxml2xmlupdatein"]),
    "pool": ("pool", "storagepool.rng", ["storagepoolxml2xmlin"]),
    "nwfilter": ("filter", "nwfilter.rng", ["nwfilterxml2xmlin"]),
    "secret": ("secret", "secret.rng", ["secretxml2xmlin"]),
    "volume": ("volume", "storagevol.rng", ["storagevolxml2xmlin"]),
    "snapshot": ("domainsnapshot", "domainsnapshot.rng", ["qemudomainsnapshotxml2xmlin"]),
    "checkpoint": ("domaincheckpoint", "domaincheckpoint.rng", ["qemudomaincheckpointxml2xmlin"]),
    "nodedev": ("device", "nodedev.rng", []),
    "device": ("domain", "domain.rng", ["qemuxml2argvdata", "qemuhotplugtestdevices"]),
    "update": ("domain", "domain.rng", []),
}

REDEFINED = ("snapshot", "checkpoint")  # documents of what exists: no emulator is needed

MINIMAL = """<domain type='%s'>
  <name>minimal</name>
  <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='KiB'>219136</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='%s'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
  </devices>
</domain>"""
MINIMAL_NETWORK = """<network><name>minimal</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <bridge name='virbr9'/><mac address='52:54:00:11:22:33'/></network>"""
NODE_DEVICES = [
    """<device><parent>scsi_host3</parent><capability type='scsi_host'><capability type='fc_host'>
  <wwnn>2002001b32a9da4e</wwnn><wwpn>2102001b32a9da4e</wwpn></capability></capability></device>""",
    """<device><parent>css_0_0_0052</parent><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <capability type='mdev'><type id='vfio_ccw-io'/><uuid>3a9c1f3c-3e8e-4a5e-9ffb-5ea4a1a1c7d0</uuid><attr name='a' value='b'/></capability></device>""",
]
# A guest whose devices are there to be changed.
RICH = """<domain type='qemu'>
  <name>rich</name>
  <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='KiB'>219136</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/tmp/a.iso'/><target dev='hdc' bus='ide'/><readonly/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/tmp/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <controller type='virtio-serial' index='0'/>
    <interface type='bridge'><mac address='52:54:00:11:22:33'/><source bridge='br0'/><model type='virtio'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='5901' autoport='no'/>
    <video><model type='vga'/></video>
    <memballoon model='virtio'/>
  </devices>
</domain>"""


class Maker:
    def __init__(self, kind, corpus, seed):
        self.random = random.Random(seed)
        self.kind = kind
        self.root, schema, folders = KINDS[kind]
        self.grammar = grammar.Grammar(schema)
        self.originals = {"nodedev": NODE_DEVICES, "update": [RICH]}.get(kind, [])[:]
        for folder in folders:
            for path in sorted(glob.glob(os.path.join(corpus, folder, "*.redefine.in.xml" if kind in REDEFINED else "*.in.xml"))):
                with open(path) as f:
                    text = f.read()
                try:
                    root = ET.fromstring(text)
                except ET.ParseError:
                    continue
                if root.tag == self.root or folder == "qemuhotplugtestdevices":
                    self.originals.append(text)
        self.above = []  # elements above the document's root, where the schema has them
        if kind in ("device", "update"):
            self.above = ["domain", "devices"]
            self.originals = sorted({ET.tostring(d, encoding="unicode") for text in self.originals for d in self.devices_of(text)})
        if kind == "domain":
            self.minimal = [MINIMAL % (virt, machine) for virt in ("kvm", "qemu") for machine in ("pc", "q35")]
        elif kind == "network":
            self.minimal = [MINIMAL_NETWORK]
        else:
            self.minimal = self.originals

    @staticmethod
    def devices_of(text):
        root = ET.fromstring(text)
        return [root] if root.tag != "domain" else [d for d in root.find("devices") or [] if d.tag != "emulator"]

    def make(self, generated):
        """One document: with `generated`, a plain one with a random part of the schema; else an original with changes."""
        if generated:
            root = ET.fromstring(self.random.choice(self.minimal))
            for _ in range(self.random.choice([1, 1, 2])):
                self.add_part(root, most=3)
        else:
            root = ET.fromstring(self.random.choice(self.originals))
            for _ in range(self.random.choice([1, 1, 1, 2, 3])):
                self.random.choice(self.changes)(self, root)
        return ET.tostring(root, encoding="unicode")

    def broken(self, count):
        """`count` of the originals with one part missing, empty, twice or of a wrong value, which a comment behind them tells; parts
        that look alike are broken once."""
        seen, made = set(), []

        def note(root, chain, node, what):
            around = ET.tostring(node, encoding="unicode") if len(chain) > 1 else ""  # roots and their children are all different
            path = "/".join(re.sub(r"^\{.*\}", "", e.tag) for e in chain + [node])
            if (path, what, around) not in seen:
                seen.add((path, what, around))
                made.append(ET.tostring(root, encoding="unicode") + f"\n<!-- {path}: {what} -->")

        for text in self.originals:
            root = ET.fromstring(text)
            for at, (chain, node) in enumerate(self.places(root)):
                self.break_attributes(node, lambda what: note(root, chain, node, what))
                words, node.text = node.text, ""
                if (words or "").strip():
                    for node.text in ("", "nonsense", "0"):
                        note(root, chain, node, f"text {node.text}")
                node.text = words
                if not chain:
                    continue
                for what in ("missing", "twice", "empty", "bare"):
                    changed = copy.deepcopy(root)
                    above, same = self.places(changed)[at]
                    self.break_element(above[-1], same, what)
                    note(changed, above, same if what == "missing" else above[-1], what + same.tag)
        return made if len(made) <= count else self.random.sample(made, count)

    @staticmethod
    def break_attributes(node, note):
        for name, value in list(node.attrib.items()):
            for wrong in ("", "nonsense", "0", "-1"):
                node.set(name, wrong)
                note(f"{name}={wrong}")
            del node.attrib[name]
            note(f"{name} missing")
            node.set(name, value)

    @staticmethod
    def break_element(parent, node, what):
        if what == "missing":
            parent.remove(node)
        elif what == "twice":
            parent.insert(list(parent).index(node), copy.deepcopy(node))
        else:
            kept = dict(node.attrib) if what == "empty" else {}
            node.clear()
            node.attrib.update(kept)

    # ---- changes ----

    def places(self, root):
        """(parents from the root on, element) for all elements."""
        def walk(chain, node):
            yield chain, node
            for child in node:
                yield from walk(chain + [node], child)
        return [p for p in walk([], root) if isinstance(p[1].tag, str)]

    def pick(self, root, keep_root=True):
        places = self.places(root)
        if keep_root:
            places = places[1:] or places
        return self.random.choice(places)

    def patterns(self, chain, node):
        return self.grammar.at(self.above + [re.sub(r"^\{.*\}", "", e.tag) for e in chain + [node]])

    def drop_element(self, root):
        chain, node = self.pick(root)
        if chain:
            chain[-1].remove(node)

    def drop_attribute(self, root):
        places = [n for _, n in self.places(root) if n.attrib]
        if places:
            node = self.random.choice(places)
            del node.attrib[self.random.choice(sorted(node.attrib))]

    def swap_word(self, root):
        places = [(c, n) for c, n in self.places(root) if n.attrib]
        if not places:
            return
        chain, node = self.random.choice(places)
        name = self.random.choice(sorted(node.attrib))
        words = [w for p in self.patterns(chain, node) for a in self.grammar.parts(p, "attribute") if a.get("name") == name for w in self.grammar.words(a)]
        node.set(name, self.random.choice(words + ["nonsense"] if words else grammar.EDGES))

    def swap_text(self, root):
        places = [(c, n) for c, n in self.places(root) if (n.text or "").strip()]
        if not places:
            return
        chain, node = self.random.choice(places)
        words = [w for p in self.patterns(chain, node) for w in self.grammar.words(p)]
        node.text = self.random.choice(words + ["nonsense"] if words else grammar.EDGES)

    def edge_number(self, root):
        places = [(n, a) for _, n in self.places(root) for a, v in n.attrib.items() if re.fullmatch(r"(0x)?[0-9a-fA-F]+", v)]
        places += [(n, None) for _, n in self.places(root) if re.fullmatch(r"\d+", (n.text or "").strip())]
        if not places:
            return
        node, name = self.random.choice(places)
        if name is None:
            node.text = self.random.choice(grammar.EDGES)
        else:
            node.set(name, self.random.choice(grammar.EDGES))

    def duplicate(self, root):
        chain, node = self.pick(root)
        if chain:
            chain[-1].insert(list(chain[-1]).index(node), copy.deepcopy(node))

    def add_attribute(self, root):
        for _ in range(10):
            chain, node = self.pick(root, keep_root=False)
            new = [a for p in self.patterns(chain, node) for a in self.grammar.parts(p, "attribute") if a.get("name") and a.get("name") not in node.attrib]
            if new:
                attribute = self.random.choice(new)
                node.set(attribute.get("name"), self.grammar.scalar(attribute, self.random))
                return

    def add_part(self, root, most=1):
        """Elements that the schema allows at some place, most often among the devices."""
        devices = root.find("devices")
        for _ in range(10):
            if devices is not None and self.random.random() < 0.6:
                chain, node = [root], devices
            else:
                chain, node = self.pick(root, keep_root=False)
            new = [e for p in self.patterns(chain, node) for e in self.grammar.parts(p, "element")]
            if new:
                for _ in range(self.random.randint(1, most)):
                    part = self.grammar.element(self.random.choice(new), self.random)
                    for old in node.findall(part.tag) if chain != [root] or node is not devices else []:
                        node.remove(old)
                    node.append(part)
                return

    def move(self, root):
        addresses = [n for _, n in self.places(root) if n.tag == "address"]
        if not addresses:
            return
        r = self.random
        node = r.choice(addresses)
        choices = {
            "pci": {"domain": "0x0000", "bus": hex(r.randint(0, 3)), "slot": hex(r.randint(0, 31)), "function": hex(r.choice([0, 0, 0, 1, 7]))},
            "drive": {"controller": str(r.randint(0, 2)), "bus": str(r.randint(0, 1)), "target": "0", "unit": str(r.randint(0, 7))},
            "usb": {"bus": str(r.randint(0, 1)), "port": str(r.randint(1, 4))},
            "virtio-serial": {"controller": str(r.randint(0, 1)), "bus": "0", "port": str(r.randint(0, 4))},
            "isa": {"iobase": "0x505"},
            "ccid": {"controller": "0", "slot": str(r.randint(0, 1))},
            "dimm": {"slot": str(r.randint(0, 3))},
            "unassigned": {},
        }
        kind = node.get("type") if r.random() < 0.8 and node.get("type") in choices else r.choice(sorted(choices))
        node.attrib.clear()
        node.attrib.update({"type": kind, **choices[kind]})

    def drop_addresses(self, root):
        for chain, node in self.places(root):
            if node.tag == "address" and chain and chain[-1].tag != "source":
                chain[-1].remove(node)

    def drop_controllers(self, root):
        for chain, node in self.places(root):
            if node.tag == "controller" and chain and chain[-1].tag == "devices":
                chain[-1].remove(node)

    def combine(self, root):
        devices = root.find("devices")
        other = ET.fromstring(self.random.choice(self.originals)).find("devices")
        if devices is None or other is None or len(other) == 0:
            return self.add_part(root)
        for _ in range(self.random.randint(1, 4)):
            devices.append(copy.deepcopy(self.random.choice(list(other))))

    def other_machine(self, root):
        kind = root.find("os/type")
        if kind is not None:
            kind.set("machine", "pc" if "q35" in kind.get("machine", "") else "q35")
            self.drop_addresses(root)
            self.drop_controllers(root)

    def other_type(self, root):
        root.set("type", "qemu" if root.get("type") == "kvm" else "kvm")

    changes = [drop_element, drop_element, drop_attribute, drop_attribute, swap_word, swap_word, swap_word, swap_text, edge_number, edge_number,
               duplicate, add_attribute, add_attribute, add_attribute, add_part, add_part, add_part, move, drop_addresses, drop_controllers,
               combine, combine, other_machine, other_type]
