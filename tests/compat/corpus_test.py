#!/usr/bin/python3
"""Documents with the answers that libvirt gave to them, put to a running daemon through libvirt's API.

LODGE_CORPUS names the folder (one folder a kind; NAME.in.xml with NAME.out.xml or NAME.error.json, further calls as NAME.OP.…). Each test
prints what came out per folder, then the differing lines and the refusals ranked by frequency. What differs on purpose stands in
corpus_differences.tsv beside this file, with its reason. LODGE_CORPUS_ONLY=FOLDER/NAME looks at one document and prints both answers.
"""

import collections
import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import unittest
import unittest.mock

import libvirt

import world

CORPUS = os.environ.get("LODGE_CORPUS", "")
ONLY = os.environ.get("LODGE_CORPUS_ONLY", "")
SECRET_VALUE = b"0123456789abcdef"
# Wanted of each: documents that come out identical, refusals with the same code, command lines that are equal as a set.
WANTED = {"identical": 0.99, "refused": 0.95, "argv": 0.97}
DOMAIN_FOLDERS = ("cpu-in-domain", "domainschemadata", "genericxml2xml", "qemuhotplugtestdomains", "qemumemlockdata", "qemuxml2")


def accepted_differences():
    """FOLDER/NAME.OP of what differs on purpose."""
    with open(os.path.join(world.HERE, "corpus_differences.tsv")) as table:
        return {line.split("\t")[0] for line in table if line.strip() and not line.startswith("#")}


class Example:
    """One document: its files by operation."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.base = os.path.join(CORPUS, folder, name)

    def has(self, ending):
        return os.path.exists(f"{self.base}.{ending}")

    def text(self, ending):
        with open(f"{self.base}.{ending}") as file:
            return file.read()

    def json(self, ending):
        """A recorded JSON file; a bare word stands for itself."""
        text = self.text(ending)
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text.strip()

    def operation(self, op=""):
        """The recorded answer to an operation: ('xml', text), ('value', value), ('error', dict) or None."""
        start = f"{op}." if op else ""
        if self.has(start + "error.json"):
            return "error", self.json(start + "error.json")
        if self.has(start + "out.xml"):
            return "xml", self.text(start + "out.xml")
        if self.has(start + "value.json"):
            return "value", self.json(start + "value.json")
        if op == "argv" and self.has("argv"):
            return "argv", self.text("argv")
        return None


def examples(*prefixes):
    """The documents of the folders that start so."""
    for folder in sorted(os.listdir(CORPUS)) if CORPUS else []:
        path = os.path.join(CORPUS, folder)
        if not os.path.isdir(path) or not folder.startswith(prefixes):
            continue
        endings = (".redefine.in.xml", ".in.xml", ".call.json")
        names = {file[: -len(end)] for file in os.listdir(path) for end in endings if file.endswith(end)}
        names = {name.removesuffix(".redefine") for name in names}
        for name in sorted(names):
            if not ONLY or ONLY == f"{folder}/{name}":
                yield Example(folder, name)


def options(line):
    """A command line as a multiset of options; what differs from call to call is blanked."""

    def normal(value):
        if not value.startswith("{"):
            return value
        try:
            found = json.loads(value)
        except json.JSONDecodeError:
            return value
        for name in ("fd", "data", "iv"):
            if name in found:
                found[name] = "*"
        return json.dumps(found, sort_keys=True)

    words, found = shlex.split(line), collections.Counter()
    while words:
        word = words.pop(0)
        if word.startswith("TMPDIR="):  # the world's own
            continue
        if word.startswith("-") and words and not words[0].startswith("-"):
            word += " " + normal(words.pop(0))
        found[word] += 1
    return found


class Tally:
    """Counts per folder and kind of answer, and ranks what was wrong."""

    def __init__(self, title):
        self.title = title
        self.good, self.all = collections.Counter(), collections.Counter()
        self.causes, self.where = collections.Counter(), {}
        self.purpose = accepted_differences()

    def note(self, example, op, kind, wrong, wanted="", found=""):
        """`wrong`: lines that say what differs; empty: as it should be."""
        label = f"{example.folder}/{example.name}" + (f".{op}" if op else "")
        if wrong and label in self.purpose:
            wrong = []
        self.all[example.folder, kind] += 1
        if not wrong:
            self.good[example.folder, kind] += 1
        for cause in set(wrong):
            self.causes[cause] += 1
            self.where.setdefault(cause, label)
        if ONLY:
            print(f"== {label}\n-- wanted\n{wanted}\n-- found\n{found}")

    def compare(self, example, op, ask, kind="identical"):
        """Asks the daemon and compares with the recorded answer to `op`."""
        recorded = example.operation(op)
        if recorded is None:
            return
        sort, wanted = recorded
        try:
            found = ask()
        except libvirt.libvirtError as error:
            code, domain, text = error.get_error_code(), error.get_error_domain(), str(error)
            if sort != "error":
                self.note(example, op, kind, [f"refused ({code}): {text}"], wanted, text)
            elif (code, domain) == (wanted["code"], wanted["domain"]):
                self.note(example, op, "refused", [], wanted, text)
            else:
                self.note(example, op, "refused", [f"code {code}/{domain} '{text}' instead of {wanted['code']}/{wanted['domain']} '{wanted['msg'].strip()}'"])
            return
        if sort == "error":
            self.note(example, op, "refused", [f"accepted instead of {wanted['code']}: {wanted['msg'].strip()}"], wanted, found)
        elif sort == "argv":
            a, b = options(wanted), options(found)
            self.note(example, op, "argv", [f"- {o}" for o in a - b] + [f"+ {o}" for o in b - a], wanted, found)
        elif sort == "value":
            self.note(example, op, kind, [] if wanted == found else [f"{found!r} instead of {wanted!r}"[:300]], wanted, found)
        else:
            diff = difflib.ndiff(wanted.strip().splitlines(), found.strip().splitlines()) if wanted.strip() != found.strip() else []
            self.note(example, op, kind, [d for d in diff if d[:1] in "+-"], wanted, found)

    def verdict(self, case):
        if not self.all:
            case.skipTest("LODGE_CORPUS names no folder with such documents" if not ONLY else "not this one")
        for (folder, kind), count in sorted(self.all.items()):
            print(f"{self.title}: {folder}: {kind} {self.good[folder, kind]} of {count}", file=sys.stderr)
        for cause, count in self.causes.most_common(int(os.environ.get("LODGE_CORPUS_DIFFERENCES", "25"))):
            print(f"  {count} x {cause[:400]}   # {self.where[cause]}", file=sys.stderr)
        for kind in {kind for _, kind in self.all}:
            good = sum(n for (_, k), n in self.good.items() if k == kind)
            total = sum(n for (_, k), n in self.all.items() if k == kind)
            case.assertGreaterEqual(good, total * WANTED[kind], f"{self.title}: {kind}: {good} of {total}")


@unittest.skipUnless(CORPUS, "LODGE_CORPUS is not set")
class Corpus(world.Case):
    @classmethod
    def setUpClass(cls):
        # As on the host where the answers were recorded.
        os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
        os.makedirs("/run/xmldiff-huge", exist_ok=True)
        subprocess.run(["mount", "-t", "hugetlbfs", "hugetlbfs", "/run/xmldiff-huge"], check=False)
        super().setUpClass()
        cls.conn = libvirt.open(world.URI)
        cls.define_secrets()
        if "default" in cls.conn.listNetworks():  # the documents want its bridge's name
            cls.conn.networkLookupByName("default").destroy()
        cls.conn.networkLookupByName("default").undefine()

    @classmethod
    def define_secrets(cls):
        target = {"ceph": "name", "iscsi": "target", "volume": "volume", "tls": "name", "vtpm": "name"}
        words = {"passphrase": "volume"}  # as documents call it
        with open(os.path.join(CORPUS, "secrets.json")) as file:
            for secret in json.load(file):
                kind, uuid, usage = words.get(secret["type"], secret["type"]), secret["uuid"], secret["usage"]
                text = f"<secret><uuid>{uuid}</uuid>" if uuid else "<secret>"
                if usage and kind in target:
                    text += f"<usage type='{kind}'><{target[kind]}>{usage}</{target[kind]}></usage>"
                try:
                    cls.conn.secretDefineXML(text + "</secret>").setValue(SECRET_VALUE)
                except libvirt.libvirtError as error:
                    print(f"secret {secret}: {error}", file=sys.stderr)

    @classmethod
    def tearDownClass(cls):
        cls.conn.close()
        super().tearDownClass()

    def setUp(self):
        self.undo = []

    def tearDown(self):
        self.clean()
        super().tearDown()

    def clean(self):
        while self.undo:
            try:
                self.undo.pop()()
            except libvirt.libvirtError:
                pass

    def domain(self, text, flags=0):
        domain = self.conn.defineXMLFlags(text, flags)
        everything = (
            libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        )
        self.undo.append(lambda: domain.undefineFlags(everything))
        return domain

    @staticmethod
    def stored(domain):
        return domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)

    def each(self, title, prefixes, *operations):
        """Puts every document to the daemon; an operation is (name, function of the example, kind of answer)."""
        tally = Tally(title)
        for example in examples(*prefixes):
            for op, ask, kind in operations:
                tally.compare(example, op, lambda: ask(example), kind)
                self.clean()
        tally.verdict(self)

    def test_domains(self):
        self.each(
            "domains",
            DOMAIN_FOLDERS,
            ("", lambda e: self.stored(self.domain(e.text("in.xml"))), "identical"),
            ("validate", lambda e: self.stored(self.domain(e.text("in.xml"), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)), "identical"),
            ("argv", lambda e: self.conn.domainXMLToNative("qemu-argv", e.text("in.xml")), "argv"),
        )

    def network(self, text):
        network = self.conn.networkDefineXML(text)
        self.undo.append(network.undefine)
        return network

    def test_networks(self):
        self.each(
            "networks",
            ("networkxml2conf", "networkxml2firewall", "networkxml2xmlin", "networkxml2xmlout"),
            ("", lambda e: self.network(e.text("in.xml")).XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE), "identical"),
        )

    def test_network_updates(self):
        def update(example):
            call, network = example.json("call.json"), self.network(example.text("base.xml"))
            network.update(call["command"], call["section"], call["index"], example.text("in.xml"), libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG)
            return network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)

        self.each("network updates", ("networkxml2xmlupdate",), ("", update, "identical"))

    def test_interfaces(self):
        def define(example):
            self.conn.changeBegin()
            self.undo.append(self.conn.changeRollback)
            return self.conn.interfaceDefineXML(example.text("in.xml")).XMLDesc(libvirt.VIR_INTERFACE_XML_INACTIVE)

        self.each("interfaces", ("interfaceschemadata",), ("", define, "identical"))

    def test_pools(self):
        def define(example):
            pool = self.conn.storagePoolDefineXML(example.text("in.xml"))
            self.undo.append(pool.undefine)
            return pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE)

        self.each("storage pools", ("storagepoolxml2xml",), ("", define, "identical"))

    def test_volumes(self):
        path = "/var/lib/libvirt/xmldiff-pool"
        os.makedirs(path, exist_ok=True)
        subprocess.run(["truncate", "-s", "5G", f"{path}/base.raw"], check=True)  # some documents stand on it
        pool = self.conn.storagePoolCreateXML(f"<pool type='dir'><name>xmldiff-pool</name><target><path>{path}</path></target></pool>")

        def create(example):
            for _ in range(20):
                try:
                    volume = pool.createXML(example.text("in.xml"))
                    break
                except libvirt.libvirtError as error:
                    # qemu-img times its key derivation, and gives up where a busy machine keeps it from the processor.
                    if "Unable to get accurate CPU usage" not in str(error):
                        raise
            self.undo.append(volume.delete)
            # Time stamps are of the recording.
            return re.sub(r"<(atime|mtime|ctime|btime)>[^<]*<", r"<\1>*<", volume.XMLDesc())

        tally = Tally("volumes")
        try:
            for example in examples("storagevolxml2xml"):
                original = example.text
                example.text = lambda ending, read=original: re.sub(r"<(atime|mtime|ctime|btime)>[^<]*<", r"<\1>*<", read(ending))
                tally.compare(example, "", lambda: create(example))
                self.clean()
        finally:
            pool.destroy()
        tally.verdict(self)

    def test_filters(self):
        def define(example):
            found = self.conn.nwfilterDefineXML(example.text("in.xml"))
            self.undo.append(found.undefine)
            return found.XMLDesc()

        self.each("filters", ("nwfilterxml2",), ("", define, "identical"))

    def test_secrets(self):
        def define(example):
            secret = self.conn.secretDefineXML(example.text("in.xml"))
            self.undo.append(secret.undefine)
            return secret.XMLDesc()

        self.each("secrets", ("secretxml2xml",), ("", define, "identical"))

    def redefined(self, example, make, flag):
        """Redefines a snapshot or checkpoint, and its parent first, on the domain of the example."""
        domain = self.domain(example.text("base.xml"))
        for image in re.findall(r"<source file='([^']+)'", example.text("base.xml")):  # names of new files are made from those that exist
            os.makedirs(os.path.dirname(image), exist_ok=True)
            open(image, "ab").close()
        parent = example.json("call.json").get("parent")
        if parent:
            text = example.text("redefine.in.xml")
            root = re.search(r"<(domainsnapshot|domaincheckpoint)", text).group(1)
            inner = re.search(r"<domain[ >].*</domain>", text, re.S)
            state = "<state>shutoff</state>" if root == "domainsnapshot" else ""
            make(domain)(f"<{root}><name>{parent}</name>{state}<creationTime>1</creationTime>{inner.group(0) if inner else ''}</{root}>", flag)
        return make(domain)(example.text("redefine.in.xml"), flag)

    def test_snapshots(self):
        def redefine(example):
            return self.redefined(example, lambda d: d.snapshotCreateXML, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE).getXMLDesc(
                libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE
            )

        self.each("snapshots", ("qemudomainsnapshot",), ("", redefine, "identical"))

    def test_checkpoints(self):
        def redefine(example):
            return self.redefined(example, lambda d: d.checkpointCreateXML, libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE).getXMLDesc(
                libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE
            )

        self.each("checkpoints", ("qemudomaincheckpoint",), ("", redefine, "identical"))

    def test_processors(self):
        """Comparison and baseline. The answers depend on the host's processor, so these counts are shown, not judged."""
        words = {libvirt.VIR_CPU_COMPARE_INCOMPATIBLE: "incompatible", libvirt.VIR_CPU_COMPARE_IDENTICAL: "identical", libvirt.VIR_CPU_COMPARE_SUPERSET: "superset"}
        expanded, migratable = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES, libvirt.VIR_CONNECT_BASELINE_CPU_MIGRATABLE

        def models(example):
            return re.findall(r"<cpu(?: [^>]*)?>.*?</cpu>|<cpu[^>]*/>", example.text("in.xml"), re.S)

        def answer(example, flags=0):
            if example.operation("")[0] == "value" or (len(models(example)) < 2 and "<cpuTest" not in example.text("in.xml")):
                return words[self.conn.compareCPU(example.text("in.xml"))]
            return self.conn.baselineCPU(models(example), flags)

        tally = Tally("processors")
        for example in examples("cputestdata"):
            tally.compare(example, "", lambda: answer(example))
            tally.compare(example, "compare-hv", lambda: words[self.conn.compareHypervisorCPU(None, None, None, None, example.text("in.xml"))])
            tally.compare(example, "expanded", lambda: answer(example, expanded))
            tally.compare(example, "migratable", lambda: answer(example, migratable))
            tally.compare(example, "hypervisor", lambda: self.conn.baselineHypervisorCPU(None, None, None, None, models(example)))
        WANTED_HERE = {"identical": 0.0, "refused": 0.9}
        with unittest.mock.patch.dict(WANTED, WANTED_HERE):
            tally.verdict(self)

    def test_devices(self):
        def attach(example, then=None):
            domain = self.domain(world.bare_xml("with-device").replace("<memballoon model='none'/>", "<controller type='scsi' model='virtio-scsi'/>"))
            domain.attachDeviceFlags(example.text("in.xml"), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            if then:
                domain.detachDeviceFlags(example.text("in.xml"), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            return self.stored(domain)

        tally = Tally("devices")
        for example in examples("qemuhotplugtestdevices"):
            sort, wanted = example.operation("")
            try:
                attach(example)
                outcome = [] if sort == "xml" else [f"accepted instead of {wanted['code']}: {wanted['msg']}"]
            except libvirt.libvirtError as error:
                same = sort == "error" and error.get_error_code() == wanted["code"]
                outcome = [] if same else [f"refused ({error.get_error_code()}): {error}"]
            tally.note(example, "", "refused" if sort == "error" else "identical", outcome)
            self.clean()
        tally.verdict(self)


if __name__ == "__main__":
    world.main()
