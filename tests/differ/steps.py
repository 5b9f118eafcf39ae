"""The vocabulary of `walk`: what may be asked of a guest. A step is [name, argument...], all plain JSON, made from a random
number generator alone, so that both daemons are asked the same whatever they answer."""

import os

IMAGES = "/var/lib/libvirt/images"
UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
BASE = f"""<domain type='qemu'><name>walk</name><uuid>{UUID}</uuid><memory unit='MiB'>64</memory><currentMemory unit='MiB'>48</currentMemory>
<vcpu current='2'>4</vcpu><iothreads>1</iothreads><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{IMAGES}/walk.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>
<controller type='scsi' index='0' model='virtio-scsi'/><controller type='usb' index='0' model='nec-xhci'/>
<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
<serial type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' autoport='yes'/><video><model type='cirrus'/></video><memballoon model='virtio'/></devices></domain>"""

DISK = "<disk type='file' device='disk'><driver name='qemu' type='{}'/><source file='" + IMAGES + "/{}'/><target dev='{}' bus='{}'/>{}</disk>"
DEVICES = [
    DISK.format("raw", "spare.img", "vdb", "virtio", ""),
    DISK.format("raw", "spare.img", "vdb", "virtio", "<readonly/>"),
    DISK.format("raw", "absent.img", "vdc", "virtio", ""),
    DISK.format("raw", "spare.img", "sda", "scsi", ""),
    DISK.format("raw", "spare.img", "sdb", "usb", ""),
    DISK.format("qcow2", "walk.qcow2", "vda", "virtio", "<iotune><total_bytes_sec>1000000</total_bytes_sec></iotune>"),
    f"<disk type='file' device='cdrom'><source file='{IMAGES}/spare.img'/><target dev='hdc' bus='ide'/><readonly/></disk>",
    "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>",
    "<interface type='user'><mac address='52:54:00:00:00:02'/><model type='virtio'/></interface>",
    "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/><link state='down'/></interface>",
    "<interface type='user'><mac address='52:54:00:00:00:02'/><model type='e1000'/><alias name='ua-card'/></interface>",
    "<interface type='network'><mac address='52:54:00:00:00:03'/><source network='nowhere'/></interface>",
    "<input type='tablet' bus='usb'/>",
    "<input type='tablet' bus='usb'><alias name='ua-pen'/></input>",
    "<input type='keyboard' bus='virtio'/>",
    "<controller type='scsi' index='1' model='virtio-scsi'/>",
    "<controller type='usb' index='1' model='nec-xhci'/>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<watchdog model='i6300esb' action='none'/>",
    "<sound model='ich6'/>",
    "<channel type='unix'><target type='virtio' name='a.b'/></channel>",
    "<serial type='null'/>",
    "<redirdev bus='usb' type='tcp'><source mode='bind' host='127.0.0.1' service='0'/></redirdev>",
    "<graphics type='vnc' autoport='yes' passwd='secret'/>",
    "<memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>",
    "<shmem name='s'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
    "<vsock model='virtio'><cid auto='no' address='77'/></vsock>",
    "<hostdev mode='subsystem' type='usb'><source><address bus='9' device='9'/></source></hostdev>",
    "<lease><lockspace>l</lockspace><key>k</key><target path='/tmp/l'/></lease>",
    "<filesystem type='mount'><source dir='/tmp'/><target dir='t'/></filesystem>",
    "<tpm model='tpm-tis'><backend type='emulator'/></tpm>",
    "<memballoon model='none'/>",
    "<panic model='isa'/>",
    "<nonsense/>",
]
SNAPSHOT = "<domainsnapshot><name>{}</name>{}</domainsnapshot>"
SNAPSHOT_PARTS = [
    "",
    "<description>d</description>",
    "<memory snapshot='no'/>",
    f"<memory snapshot='external' file='{IMAGES}/walk.mem'/>",
    "<disks><disk name='vda' snapshot='no'/></disks>",
    f"<disks><disk name='vda' snapshot='external'><source file='{IMAGES}/walk.over'/></disk></disks>",
    "<disks><disk name='vdz'/></disks>",
    "<disks><disk name='vda' snapshot='internal'/></disks><memory snapshot='internal'/>",
]
AFFECT = [0, 1, 2, 3]


def flags(r, *bits):
    """Usual flags, rarely all sorts of them."""
    if r.random() < 0.06:
        return 1 << r.randrange(0, 14)
    return sum({b for b in bits if r.random() < 0.4}) if bits and isinstance(bits[0], int) else 0


def any_name(r):
    return r.choice(["a", "b", "c"])


def any_disk(r):
    return r.choice(["vda", "vda", "vda", "hdc", "vdb", "nosuch", f"{IMAGES}/walk.qcow2"])


class Vocabulary:
    """name -> (weight, makes its arguments, asks). What is asked may return anything that JSON knows."""

    def __init__(self):
        self.steps = {}

    def add(self, name, weight, make, ask):
        self.steps[name] = (weight, make, ask)

    def step(self, name, weight=1, make=lambda r: []):
        def register(ask):
            self.add(name, weight, make, ask)
            return ask
        return register

    def plain(self, name, weight=1, make=lambda r: [], then=lambda answer: answer):
        """A call of libvirt's binding by its own name; CPU maps have to be tuples there."""
        def ask(on, *args):
            args = [tuple(a) if isinstance(a, list) and a and isinstance(a[0], bool) else a for a in args]
            return then(getattr(on, name)(*args))
        self.add(name, weight, make, ask)

    def make(self, r, length):
        weights = [row[0] for row in self.steps.values()]
        return [[name, *self.steps[name][1](r)] for name in r.choices(list(self.steps), weights, k=length)]


DOMAIN = Vocabulary()
step, plain = DOMAIN.step, DOMAIN.plain


def keys(answer):
    return sorted(answer) if isinstance(answer, dict) else answer


def names(objects):
    return sorted(o.getName() for o in objects)


# ---- life ----
plain("create", 6)
plain("createWithFlags", 5, lambda r: [flags(r, 1, 2, 4, 8)])
plain("destroy", 4)
plain("destroyFlags", 2, lambda r: [flags(r, 1)])
plain("suspend", 4)
plain("resume", 4)
plain("shutdownFlags", 1, lambda r: [flags(r, 1, 2, 4)])
plain("reboot", 1, lambda r: [flags(r, 1, 2, 4)])
plain("reset", 2, lambda r: [flags(r)])
plain("undefineFlags", 3, lambda r: [flags(r, 1, 2, 4, 8, 16, 32)])
plain("state", 3, lambda r: [flags(r)])
plain("isActive"), plain("isPersistent"), plain("isUpdated"), plain("ID"), plain("name"), plain("OSType")
plain("info", 2, then=lambda answer: answer[:4])
plain("rename", 2, lambda r: [r.choice(["walk", "other", "", "a/b"]), flags(r)])
plain("setAutostart", 1, lambda r: [r.randrange(2)])
plain("autostart")
plain("setMetadata", 3, lambda r: [r.randrange(0, 4), r.choice([None, "text", "two\nlines", "<k/>"]), r.choice([None, "k"]),
                                   r.choice([None, "urn:k"]), r.choice(AFFECT)])
plain("metadata", 2, lambda r: [r.randrange(0, 4), r.choice([None, "urn:k"]), r.choice(AFFECT)])
plain("XMLDesc", 4, lambda r: [flags(r, 1, 2, 4, 8)])
plain("hasManagedSaveImage", 1, lambda r: [flags(r)])
plain("managedSave", 2, lambda r: [flags(r, 1, 2, 4)])
plain("managedSaveRemove", 2, lambda r: [flags(r)])
plain("managedSaveGetXMLDesc", 1, lambda r: [flags(r, 1)])
plain("save", 1, lambda r: [f"{IMAGES}/walk.save"])
plain("coreDumpWithFormat", 1, lambda r: [f"{IMAGES}/walk.core", r.randrange(0, 4), flags(r, 1, 2, 4, 8, 16)])


plain("saveFlags", 1, lambda r: [f"{IMAGES}/walk.save", None, flags(r, 1, 2, 4)])
plain("saveParams", 1, lambda r: [r.choice([{"file": f"{IMAGES}/walk.save"}, {}, {"x": "y"}]), flags(r, 1, 2)])
plain("managedSaveDefineXML", 1, lambda r: [r.choice([BASE, BASE.replace("64</memory>", "65</memory>"), "<x/>"]), flags(r, 2, 4)])
plain("setLifecycleAction", 2, lambda r: [r.randrange(0, 4), r.randrange(0, 7), r.choice(AFFECT)])
plain("schedulerType"), plain("UUIDString"), plain("undefine"), plain("shutdown")


@step("defineXML", 4, lambda r: [flags(r, 1)])
def define(dom, bits):
    dom.connect().defineXMLFlags(BASE, bits)


@step("createXML", 2, lambda r: [flags(r, 1, 2)])
def create_transient(dom, bits):
    dom.connect().createXML(BASE, bits)


@step("restoreFlags", 1, lambda r: [flags(r, 1, 2, 4)])
def restore(dom, bits):
    dom.connect().restoreFlags(f"{IMAGES}/walk.save", None, bits)


@step("restoreParams", 1, lambda r: [r.choice([{"file": f"{IMAGES}/walk.save"}, {}, {"file": "/nosuch"}]), flags(r, 1, 2, 4)])
def restore_params(dom, params, bits):
    dom.connect().restoreParams(params, bits)


@step("saveImageDefineXML", 1, lambda r: [r.choice([BASE, BASE.replace("walk</name>", "x</name>"), "<x/>"]), flags(r, 2, 4)])
def save_image_define(dom, xml, bits):
    dom.connect().saveImageDefineXML(f"{IMAGES}/walk.save", xml, bits)


@step("domainXMLToNative", 1, lambda r: [r.choice(["qemu-argv", "x"]), flags(r)])
def to_native(dom, kind, bits):
    return len(dom.connect().domainXMLToNative(kind, BASE, bits)) > 1000


@step("listAllDomains", 1, lambda r: [1 << r.randrange(0, 17)])
def list_all(dom, bits):
    return sorted(each.name() for each in dom.connect().listAllDomains(bits))


@step("saveImageGetXMLDesc", 1, lambda r: [flags(r, 1)])
def save_image(dom, bits):
    return dom.connect().saveImageGetXMLDesc(f"{IMAGES}/walk.save", bits)


# ---- devices ----
plain("attachDeviceFlags", 8, lambda r: [r.choice(DEVICES), r.choice(AFFECT)])
plain("detachDeviceFlags", 6, lambda r: [r.choice(DEVICES), r.choice(AFFECT)])
plain("updateDeviceFlags", 6, lambda r: [r.choice(DEVICES), r.choice(AFFECT) | r.choice([0, 0, 4])])
plain("detachDeviceAlias", 1, lambda r: [r.choice(["ua-pen", "ua-card", "net0", "none"]), r.choice(AFFECT)])
plain("setMemoryFlags", 3, lambda r: [r.choice([0, 16384, 49152, 65536, 131072]), r.choice([*AFFECT, 4, 6])])
plain("maxMemory"), plain("maxVcpus")
plain("setVcpusFlags", 3, lambda r: [r.choice([0, 1, 2, 3, 4, 5, 99]), r.choice([*AFFECT, 4, 6, 8, 17])])
plain("vcpusFlags", 2, lambda r: [r.choice([*AFFECT, 4, 5, 6, 8])])
plain("setVcpu", 1, lambda r: [r.choice(["1", "3", "2-3", "0", "x"]), r.randrange(2), r.choice(AFFECT)])
plain("setMemoryStatsPeriod", 1, lambda r: [r.choice([0, 5, -1]), r.choice(AFFECT)])
plain("addIOThread", 2, lambda r: [r.choice([0, 1, 2, 7]), r.choice(AFFECT)])
plain("delIOThread", 2, lambda r: [r.choice([0, 1, 2, 7]), r.choice(AFFECT)])
plain("setIOThreadParams", 1, lambda r: [r.choice([1, 2]), r.choice([{"poll-max-ns": 5}, {"x": 1}, {}]), r.choice(AFFECT)])
plain("ioThreadInfo", 1, lambda r: [r.choice(AFFECT)], then=lambda answer: [row[0] for row in answer])

plain("setMaxMemory", 1, lambda r: [r.choice([0, 65536, 131072])])
plain("setMemory", 1, lambda r: [r.choice([0, 49152, 999999])])
plain("setVcpus", 1, lambda r: [r.choice([0, 2, 9])])
plain("attachDevice", 1, lambda r: [r.choice(DEVICES)])
plain("detachDevice", 1, lambda r: [r.choice(DEVICES)])

# ---- tuning ----
plain("pinIOThread", 1, lambda r: [r.choice([0, 1, 2]), r.choice([(True, True), (False, False)]), r.choice(AFFECT)])
plain("schedulerParameters", 1)
plain("setSchedulerParameters", 1, lambda r: [r.choice([{"cpu_shares": 500}, {"x": 1}])])
plain("setBlkioParameters", 1, lambda r: [r.choice([{"weight": 500}, {"weight": 5}, {"device_weight": "/dev/null,500"}, {"device_weight": "x"}, {"x": 1}]), r.choice(AFFECT)])
plain("setInterfaceParameters", 1, lambda r: [r.choice(["52:54:00:00:00:01", "vnet9"]), r.choice([{"inbound.average": 100}, {"outbound.peak": 5}, {"x": 1}]), r.choice(AFFECT)])
plain("migrateGetMaxSpeed", 1, lambda r: [flags(r, 1)])
plain("migrateSetMaxSpeed", 1, lambda r: [r.choice([0, 100, 1 << 60]), flags(r, 1)])
plain("migrateGetCompressionCache", 1, lambda r: [flags(r)])
plain("migrateSetCompressionCache", 1, lambda r: [r.choice([0, 1 << 20]), flags(r)])
plain("migrateStartPostCopy", 1, lambda r: [flags(r)])
plain("pinVcpuFlags", 1, lambda r: [r.choice([0, 1, 9]), r.choice([(True, True), (True, False), (False, False)]), r.choice(AFFECT)])
plain("pinEmulator", 1, lambda r: [r.choice([(True, False), (False, False)]), r.choice(AFFECT)])
plain("vcpuPinInfo", 1, lambda r: [r.choice(AFFECT)])
plain("emulatorPinInfo", 1, lambda r: [r.choice(AFFECT)])
plain("schedulerParametersFlags", 1, lambda r: [r.choice(AFFECT)])
plain("setSchedulerParametersFlags", 2, lambda r: [r.choice([{"cpu_shares": 500}, {"vcpu_quota": 20000}, {"vcpu_quota": 1}, {"emulator_period": 5000}, {"x": 1}]), r.choice(AFFECT)])
plain("memoryParameters", 1, lambda r: [r.choice(AFFECT)])
plain("setMemoryParameters", 1, lambda r: [r.choice([{"soft_limit": 400000}, {"swap_hard_limit": 1}, {"x": 1}]), r.choice(AFFECT)])
plain("blkioParameters", 1, lambda r: [r.choice(AFFECT)])
plain("numaParameters", 1, lambda r: [r.choice(AFFECT)])
plain("setNumaParameters", 1, lambda r: [r.choice([{"numa_nodeset": "0"}, {"numa_mode": 0}, {"numa_nodeset": "9"}]), r.choice(AFFECT)])
plain("blockIoTune", 1, lambda r: [any_disk(r), r.choice(AFFECT)])
plain("setBlockIoTune", 2, lambda r: [any_disk(r), r.choice([{"total_bytes_sec": 1000000}, {"read_iops_sec": 100}, {"total_bytes_sec": 5, "read_bytes_sec": 5},
                                                             {"total_iops_sec_max": 5}, {"group_name": "g", "total_iops_sec": 7}]), r.choice(AFFECT)])
plain("interfaceParameters", 1, lambda r: [r.choice(["52:54:00:00:00:01", "vnet9"]), r.choice(AFFECT)])
plain("perfEvents", 1, lambda r: [r.choice(AFFECT)])
plain("setPerfEvents", 1, lambda r: [r.choice([{"cpu_cycles": True}, {"cmt": True}, {"x": True}]), r.choice(AFFECT)])
plain("migrateSetMaxDowntime", 1, lambda r: [r.choice([0, 100]), flags(r)])
plain("migrateGetMaxDowntime", 1, lambda r: [flags(r)])

# ---- looking ----
plain("blockInfo", 2, lambda r: [any_disk(r), flags(r)], then=lambda answer: answer[0])
plain("blockStatsFlags", 1, lambda r: [any_disk(r), flags(r)], then=keys)
plain("blockStats", 1, lambda r: [any_disk(r)], then=len)
plain("securityLabel", 1, then=len)
plain("setLaunchSecurityState", 1, lambda r: [{"sev-secret": "a", "sev-secret-header": "b"}, flags(r)])
plain("blockPeek", 1, lambda r: [any_disk(r), 0, 4, flags(r)], then=lambda answer: answer.hex())
plain("memoryPeek", 1, lambda r: [0, 4, r.choice([0, 1, 2, 3])], then=lambda answer: len(answer))
plain("memoryStats", 1, then=lambda answer: sorted(k for k in answer if k not in ("usable", "last_update")))
plain("interfaceStats", 1, lambda r: [r.choice(["52:54:00:00:00:01", "vnet9", "net0"])], then=lambda answer: len(answer))
plain("interfaceAddresses", 1, lambda r: [r.randrange(0, 4), flags(r)], then=keys)
plain("diskErrors", 1, lambda r: [flags(r)])
plain("controlInfo", 1, lambda r: [flags(r)], then=lambda answer: answer[:2])
plain("jobInfo", 1, then=lambda answer: answer[0])
plain("jobStats", 1, lambda r: [flags(r, 1, 2)], then=lambda answer: answer.get("type"))
plain("abortJob"), plain("guestVcpus", 1, lambda r: [flags(r)]), plain("fsInfo", 1, lambda r: [flags(r)])
plain("guestInfo", 1, lambda r: [flags(r, 1, 2, 4), flags(r)])
plain("hostname", 1, lambda r: [flags(r, 1, 2)])
plain("getTime", 1, lambda r: [flags(r)])
plain("setTime", 1, lambda r: [{"seconds": 5, "nseconds": 0}, flags(r, 1)])
plain("getCPUStats", 1, lambda r: [r.choice([True, False]), flags(r)], then=lambda answer: [sorted(k for k in row) for row in answer])
plain("vcpus", 1, then=lambda answer: [len(answer[0]), len(answer[1])])
plain("securityLabelList", 1, then=len)
plain("launchSecurityInfo", 1, lambda r: [flags(r)])
plain("startDirtyRateCalc", 1, lambda r: [r.choice([0, 1, 99]), flags(r)])
plain("messages", 1, lambda r: [flags(r, 1, 2)])


@step("domainListGetStats", 3, lambda r: [flags(r, *(1 << i for i in range(0, 12))), 0])
def stats(dom, groups, bits):
    volatile = ("balloon.last-update", "balloon.usable")
    return [sorted(k for k in row if k not in volatile) for _, row in dom.connect().domainListGetStats([dom], groups, bits)]


# ---- talking ----
plain("sendKey", 1, lambda r: [r.choice([0, 1, 99]), r.choice([0, 10]), [28], 1, flags(r)])
plain("injectNMI", 1, lambda r: [flags(r)])
plain("sendProcessSignal", 1, lambda r: [1, 9, flags(r)])
plain("fsFreeze", 1, lambda r: [None, flags(r)]), plain("fsThaw", 1, lambda r: [None, flags(r)]), plain("fSTrim", 1, lambda r: [None, 0, flags(r)])
plain("setUserPassword", 1, lambda r: ["root", "x", flags(r, 1)])
plain("pMSuspendForDuration", 1, lambda r: [r.randrange(0, 4), r.choice([0, 5]), flags(r)])
plain("pMWakeup", 1, lambda r: [flags(r)])
plain("setGuestVcpus", 1, lambda r: [r.choice(["0", "1", "x"]), r.randrange(2), flags(r)])
plain("agentSetResponseTimeout", 1, lambda r: [r.choice([-2, -1, 0, 5, -9]), flags(r)])
plain("authorizedSSHKeysGet", 1, lambda r: [r.choice(["root", ""]), flags(r)])
plain("authorizedSSHKeysSet", 1, lambda r: ["root", r.choice([["k"], []]), flags(r, 1, 2)])
plain("setBlockThreshold", 1, lambda r: [any_disk(r), r.choice([0, 4096]), flags(r)])


@step("openGraphicsFD", 1, lambda r: [r.choice([0, 1]), flags(r, 1)])
def graphics(dom, number, bits):
    os.close(dom.openGraphicsFD(number, bits))


@step("screenshot", 1, lambda r: [r.choice([0, 1]), flags(r)])
def screenshot(dom, screen, bits):
    return dom.screenshot(dom.connect().newStream(), screen, bits)


@step("openConsole", 1, lambda r: [r.choice([None, "serial0", "nosuch"]), flags(r, 1, 2)])
def console(dom, device, bits):
    stream = dom.connect().newStream()
    dom.openConsole(device, stream, bits)
    stream.abort()


@step("openChannel", 1, lambda r: [r.choice([None, "org.qemu.guest_agent.0", "nosuch"]), flags(r, 1)])
def channel(dom, name, bits):
    stream = dom.connect().newStream()
    dom.openChannel(name, stream, bits)
    stream.abort()


# ---- disks, snapshots, checkpoints ----
plain("blockResize", 2, lambda r: [any_disk(r), r.choice([0, 1 << 20, 64 << 20, 65 << 20, 3]), flags(r, 1)])
plain("blockJobInfo", 2, lambda r: [any_disk(r), flags(r, 1)], then=lambda answer: answer and answer.get("type"))
plain("blockJobAbort", 2, lambda r: [any_disk(r), flags(r, 1, 2)])
plain("blockJobSetSpeed", 1, lambda r: [any_disk(r), r.choice([0, 1]), flags(r, 1)])
plain("blockPull", 1, lambda r: [any_disk(r), 0, flags(r, 64)])
plain("blockCommit", 1, lambda r: [any_disk(r), None, None, 0, flags(r, 1, 2, 4, 8)])


@step("blockCopy", 2, lambda r: [any_disk(r), r.choice(["copy.img", "absent/copy.img"]), flags(r, 1, 4)])
def copy(dom, disk, file, bits):
    dom.blockCopy(disk, f"<disk type='file'><source file='{IMAGES}/{file}'/><driver type='raw'/></disk>", flags=bits)


plain("blockRebase", 2, lambda r: [any_disk(r), r.choice([None, f"{IMAGES}/copy.img", "x"]), 0, flags(r, 1, 2, 4, 8, 16)])


@step("backupBegin", 2, lambda r: [r.choice(["push", "pull", "x"]), r.choice(["vda", "vda", "nosuch"]), r.choice([None, "a"]), flags(r, 1)])
def backup(dom, mode, disk, checkpoint, bits):
    target = {"push": f"<target file='{IMAGES}/backup.img'/>", "pull": f"<scratch file='{IMAGES}/backup.img'/>"}.get(mode, "")
    server = f"<server transport='unix' socket='{IMAGES}/nbd.sock'/>" if mode == "pull" else ""
    point = checkpoint and f"<domaincheckpoint><name>{checkpoint}</name></domaincheckpoint>"
    dom.backupBegin(f"<domainbackup mode='{mode}'>{server}<disks><disk name='{disk}' type='file'>{target}</disk></disks></domainbackup>", point, bits)


plain("backupGetXMLDesc", 2, lambda r: [flags(r)])
plain("snapshotListNames", 1, lambda r: [flags(r, 1, 2)], then=sorted)
plain("snapshotNum", 1, lambda r: [flags(r, 1, 2)])
plain("hasCurrentSnapshot", 1, lambda r: [flags(r)])
plain("listAllSnapshots", 2, lambda r: [flags(r, 1, 2, 4, 8, 16)], then=names)
plain("listAllCheckpoints", 1, lambda r: [flags(r, 1, 2)], then=names)


@step("snapshotCreateXML", 6, lambda r: [any_name(r), r.choice(SNAPSHOT_PARTS), flags(r, 2, 4, 8, 16, 128, 256)])
def snapshot(dom, name, parts, bits):
    return dom.snapshotCreateXML(SNAPSHOT.format(name, parts), bits).getName()


@step("snapshotXML", 2, lambda r: [any_name(r), flags(r, 1)])
def snapshot_xml(dom, name, bits):
    return dom.snapshotLookupByName(name).getXMLDesc(bits)


@step("snapshotParent", 1, lambda r: [any_name(r), flags(r)])
def snapshot_parent(dom, name, bits):
    return dom.snapshotLookupByName(name).getParent(bits).getName()


@step("snapshotCurrent", 1, lambda r: [flags(r)])
def snapshot_current(dom, bits):
    return dom.snapshotCurrent(bits).getName()


@step("snapshotLook", 2, lambda r: [any_name(r), flags(r, 1, 2)])
def snapshot_look(dom, name, bits):
    found = dom.snapshotLookupByName(name)
    return [found.isCurrent(), found.hasMetadata(), found.numChildren(bits), sorted(found.listChildrenNames(bits)), names(found.listAllChildren(bits))]


@step("snapshotRevert", 3, lambda r: [any_name(r), flags(r, 1, 2, 4)])
def snapshot_revert(dom, name, bits):
    dom.revertToSnapshot(dom.snapshotLookupByName(name), bits)


@step("snapshotDelete", 3, lambda r: [any_name(r), flags(r, 1, 2, 4)])
def snapshot_delete(dom, name, bits):
    dom.snapshotLookupByName(name).delete(bits)


@step("checkpointCreateXML", 2, lambda r: [any_name(r), flags(r, 2)])
def checkpoint(dom, name, bits):
    return dom.checkpointCreateXML(f"<domaincheckpoint><name>{name}</name></domaincheckpoint>", bits).getName()


@step("checkpointLook", 2, lambda r: [any_name(r), flags(r, 1, 2, 4)])
def checkpoint_look(dom, name, bits):
    found = dom.checkpointLookupByName(name)
    return [names(found.listAllChildren(bits)), found.getXMLDesc(bits & ~4)]


@step("checkpointDelete", 1, lambda r: [any_name(r), flags(r, 1, 2, 4)])
def checkpoint_delete(dom, name, bits):
    dom.checkpointLookupByName(name).delete(bits)


def prepare():
    """The images of a walk, as they are before it."""
    for name in os.listdir(IMAGES):
        os.unlink(f"{IMAGES}/{name}")
    os.system(f"qemu-img create -q -f qcow2 {IMAGES}/walk.qcow2 64M; truncate -s 1M {IMAGES}/spare.img; chmod 666 {IMAGES}/*")


def make(r, length):
    first = [["create"]] if r.random() < 0.6 else [["createWithFlags", 1]] if r.random() < 0.4 else []
    return first + DOMAIN.make(r, length)
