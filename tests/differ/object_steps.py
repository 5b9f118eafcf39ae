"""The vocabulary of `walk --of objects`: what may be asked of a host's networks, pools, volumes, secrets, filters and devices. Two
names of each kind are in use, so that steps meet each other."""

import libvirt
from steps import AFFECT, Vocabulary, flags, keys

OBJECTS = Vocabulary()
step = OBJECTS.step
UUIDS = {"a": "11111111-fdbd-4daf-9455-926a65c16db1", "b": "22222222-fdbd-4daf-9455-926a65c16db2"}
MAC = "<mac address='52:54:00:11:22:0{}'/>"
POOLS = "/var/lib/libvirt/pools"


def any_name(r):
    return r.choice(["a", "a", "a", "b", "b", "nosuch"])


def documents(root, bodies):
    """Makes a document of a kind: one of both names, sometimes with its UUID, sometimes with the other's."""
    def make(r):
        name = r.choice(["a", "a", "b"])
        uuid = r.choice([f"<uuid>{UUIDS[name]}</uuid>"] * 4 + ["", f"<uuid>{UUIDS['b']}</uuid>"])
        return f"<{root}><name>{name}</name>{uuid}{r.choice(bodies).replace('NAME', name)}</{root}>"
    return make


def names(objects):
    return sorted(each.name() for each in objects)


# ---- networks ----
DHCP = "<dhcp><range start='192.168.{0}.2' end='192.168.{0}.99'/><host mac='52:54:00:00:00:09' name='nine' ip='192.168.{0}.9'/></dhcp>"
NETWORKS = [
    "<forward mode='nat'/><bridge name='vbrNAME'/>" + MAC.format(1) + "<ip address='192.168.41.1' netmask='255.255.255.0'>" + DHCP.format(41) + "</ip>",
    "<bridge name='vbrNAME' stp='off' delay='2'/>" + MAC.format(2) + "<ip address='192.168.42.1' prefix='24'/><ip family='ipv6' address='fd00:42::1' prefix='64'/>",
    "<forward mode='route' dev='lo'/><bridge name='vbrb'/>" + MAC.format(3) + "<dns><host ip='192.168.43.5'><hostname>five</hostname></host></dns><ip address='192.168.43.1' prefix='24'/>",
    "<forward mode='open'/><bridge name='vbrNAME'/>" + MAC.format(4) + "<domain name='inside' localOnly='yes'/><ip address='192.168.44.1' prefix='24'/>",
    "<forward mode='bridge'/><bridge name='nobr'/>",
    "<forward mode='bridge'><interface dev='lo'/></forward>",
    "<forward mode='passthrough'><interface dev='lo'/></forward><portgroup name='p' default='yes'><bandwidth><inbound average='100'/></bandwidth></portgroup>",
    "<forward mode='hostdev' managed='yes'><pf dev='lo'/></forward>",
    "<bridge name='vbrNAME'/>" + MAC.format(5) + "<portgroup name='p'/><bandwidth><inbound average='1000' floor='1'/></bandwidth>",
    "<bridge name='vbrNAME'/>" + MAC.format(6) + "<bandwidth><inbound average='1000'/><outbound average='500' peak='900'/></bandwidth>",
    "<forward mode='nat'/><ip address='127.0.0.1' prefix='8'/>",
    "<ip address='nonsense'/>",
]
network = documents("network", NETWORKS)
UPDATES = [
    (4, "<host mac='52:54:00:00:00:0a' name='ten' ip='192.168.41.10'/>"),
    (4, "<host mac='52:54:00:00:00:09' name='other' ip='192.168.41.9'/>"),
    (5, "<range start='192.168.41.100' end='192.168.41.110'/>"),
    (5, "<range start='192.168.41.2' end='192.168.41.99'/>"),
    (10, "<host ip='192.168.43.6'><hostname>six</hostname></host>"),
    (11, "<txt name='t' value='v'/>"),
    (12, "<srv service='s' protocol='tcp' domain='d' target='t' port='5'/>"),
    (9, "<portgroup name='q'/>"),
    (9, "<portgroup name='p' default='yes'/>"),
    (7, "<interface dev='eth9'/>"),
    (1, "<bridge name='other'/>"),
    (3, "<ip address='192.168.49.1' prefix='24'/>"),
    (99, "<x/>"),
]
PORTS = [
    "<owner><name>o</name><uuid>{0}</uuid></owner><mac address='52:54:00:33:44:55'/>",
    "<owner><name>o</name><uuid>{0}</uuid></owner><portgroup>p</portgroup><mac address='52:54:00:33:44:55'/><bandwidth><inbound average='5' floor='7'/></bandwidth>",
    "<owner><name>o</name><uuid>{0}</uuid></owner><portgroup>nosuch</portgroup><mac address='52:54:00:33:44:55'/>",
    "<mac address='52:54:00:33:44:55'/>",
]


def on_network(name, weight=1, make=lambda r: [], then=lambda answer: answer):
    def ask(conn, which, *args):
        return then(getattr(conn.networkLookupByName(which), name)(*args))
    OBJECTS.add("network." + name, weight, lambda r: [any_name(r), *make(r)], ask)


OBJECTS.plain("networkDefineXMLFlags", 8, lambda r: [network(r), flags(r, 1)], then=lambda n: n.name())
OBJECTS.plain("networkCreateXMLFlags", 3, lambda r: [network(r), flags(r, 1)], then=lambda n: n.name())
OBJECTS.plain("networkLookupByUUIDString", 1, lambda r: [r.choice([*UUIDS.values(), "no"])], then=lambda n: n.name())
OBJECTS.plain("listAllNetworks", 2, lambda r: [r.choice([0, 1, 2, 3, 4, 8, 16, 32, 64])], then=names)
on_network("create", 7)
on_network("destroy", 4)
on_network("undefine", 3)
on_network("XMLDesc", 5, lambda r: [flags(r, 1)])
on_network("update", 12, lambda r: [r.choice([1, 1, 2, 3, 4, 9]), (u := r.choice(UPDATES))[0], r.choice([-1, -1, 0, 1]), u[1], r.choice(AFFECT)])
on_network("setAutostart", 2, lambda r: [r.randrange(2)])
on_network("autostart"), on_network("isActive"), on_network("isPersistent"), on_network("bridgeName"), on_network("UUIDString")
on_network("DHCPLeases", 1, lambda r: [r.choice([None, "52:54:00:00:00:09", "x"]), flags(r)])
on_network("listAllPorts", 2, lambda r: [flags(r)], then=lambda ports: sorted(p.UUIDString() for p in ports))


@step("network.portCreateXML", 4, lambda r: [any_name(r), r.choice(["a", "b"]), r.choice(PORTS), flags(r, 1, 2)])
def port_create(conn, name, port, body, bits):
    document = f"<networkport><uuid>{UUIDS[port]}</uuid>{body.format(UUIDS['a'])}</networkport>"
    return conn.networkLookupByName(name).portCreateXML(document, bits).XMLDesc()


def on_port(name, weight=1, make=lambda r: []):
    def ask(conn, which, port, *args):
        return getattr(conn.networkLookupByName(which).portLookupByUUIDString(UUIDS[port]), name)(*args)
    OBJECTS.add("port." + name, weight, lambda r: [any_name(r), r.choice(["a", "b"]), *make(r)], ask)


on_port("XMLDesc", 1, lambda r: [flags(r)])
on_port("delete", 1, lambda r: [flags(r)])
on_port("parameters", 1, lambda r: [flags(r)])
on_port("setParameters", 1, lambda r: [r.choice([{"inbound.average": 9}, {"outbound.peak": 5}, {"x": 1}, {"inbound.floor": 3}]), flags(r)])

# ---- pools and volumes ----
POOL_BODIES = [f"<target><path>{POOLS}/NAME</path></target>"] * 3 + [
    f"<target><path>{POOLS}/NAME</path><permissions><mode>0700</mode><owner>0</owner><group>0</group></permissions></target>",
    f"<target><path>{POOLS}/b</path></target>",
    "<target><path>relative</path></target>",
    "<source><name>vg</name></source>",
]
POOL_KINDS = ["dir", "dir", "dir", "dir", "dir", "logical", "netfs", "nonsense"]
VOLUMES = [
    "<capacity unit='MiB'>2</capacity><target><format type='qcow2'/></target>",
    "<capacity>1048576</capacity><allocation>0</allocation>",
    "<capacity>1048576</capacity><target><format type='raw'/><permissions><mode>0600</mode></permissions></target>",
    "<capacity>1048576</capacity><target><format type='qcow2'/><compat>1.1</compat><features><lazy_refcounts/></features></target>",
    f"<capacity>4194304</capacity><target><format type='qcow2'/></target><backingStore><path>{POOLS}/a/a</path><format type='qcow2'/></backingStore>",
    "<capacity>4096</capacity><target><format type='dir'/></target>",
    "<capacity>-1</capacity>",
    "<capacity unit='x'>1</capacity>",
    "",
]


def pool(r):
    body = documents("pool", POOL_BODIES)(r)
    return body.replace("<pool>", f"<pool type='{r.choice(POOL_KINDS)}'>", 1)


def volume(r):
    return f"<volume><name>{r.choice(['a', 'a', 'b', 'a/b', '.'])}</name>{r.choice(VOLUMES)}</volume>"


def pool_names(pools):
    return sorted(each.name() for each in pools)


def on_pool(name, weight=1, make=lambda r: [], then=lambda answer: answer):
    def ask(conn, which, *args):
        return then(getattr(conn.storagePoolLookupByName(which), name)(*args))
    OBJECTS.add("pool." + name, weight, lambda r: [any_name(r), *make(r)], ask)


def on_volume(name, weight=1, make=lambda r: [], then=lambda answer: answer):
    def ask(conn, which, vol, *args):
        return then(getattr(conn.storagePoolLookupByName(which).storageVolLookupByName(vol), name)(*args))
    OBJECTS.add("volume." + name, weight, lambda r: [any_name(r), any_name(r), *make(r)], ask)


OBJECTS.plain("storagePoolDefineXML", 8, lambda r: [pool(r), flags(r, 1)], then=lambda p: p.name())
OBJECTS.plain("storagePoolCreateXML", 3, lambda r: [pool(r), flags(r, 1, 2, 4)], then=lambda p: p.name())
OBJECTS.plain("storagePoolLookupByTargetPath", 1, lambda r: [r.choice([f"{POOLS}/a", f"{POOLS}//b/", "/x", ""])], then=lambda p: p.name())
OBJECTS.plain("storageVolLookupByPath", 1, lambda r: [r.choice([f"{POOLS}/a/a", f"{POOLS}/a/../a/b", "/x", ""])], then=lambda v: v.path())
OBJECTS.plain("storageVolLookupByKey", 1, lambda r: [r.choice([f"{POOLS}/a/a", "x"])], then=lambda v: v.path())
OBJECTS.plain("listAllStoragePools", 2, lambda r: [r.choice([0, 1, 2, 4, 8, 16, 32, 64, 128, 256])], then=pool_names)
on_pool("create", 8, lambda r: [flags(r, 1, 2, 4)])
on_pool("build", 3, lambda r: [flags(r, 1, 2, 4)])
on_pool("destroy", 4), on_pool("undefine", 3)
on_pool("delete", 2, lambda r: [flags(r, 1)])
on_pool("refresh", 2, lambda r: [flags(r)])
on_pool("XMLDesc", 3, lambda r: [flags(r, 1)])
on_pool("info", 1, then=lambda answer: answer[0])
on_pool("setAutostart", 2, lambda r: [r.randrange(2)])
on_pool("autostart"), on_pool("isActive"), on_pool("isPersistent"), on_pool("numOfVolumes"), on_pool("listVolumes", 1, then=sorted)
on_pool("listAllVolumes", 1, lambda r: [flags(r)], then=names)
on_pool("createXML", 10, lambda r: [volume(r), flags(r, 1, 2)], then=lambda v: v.name())
on_volume("XMLDesc", 4, lambda r: [flags(r)])
on_volume("delete", 2, lambda r: [flags(r, 1, 2)])
on_volume("wipe", 1, lambda r: [flags(r)])
on_volume("wipePattern", 1, lambda r: [r.choice([0, 1, 5, 9]), flags(r)])
on_volume("resize", 3, lambda r: [r.choice([0, 1024, 1 << 20, 8 << 20]), flags(r, 1, 2, 4)])
on_volume("infoFlags", 1, lambda r: [flags(r, 1)], then=lambda answer: answer[:2])
on_volume("path"), on_volume("key")


@step("pool.createXMLFrom", 3, lambda r: [any_name(r), any_name(r), any_name(r), volume(r), flags(r, 1, 2)])
def create_from(conn, name, source_pool, source, document, bits):
    original = conn.storagePoolLookupByName(source_pool).storageVolLookupByName(source)
    return conn.storagePoolLookupByName(name).createXMLFrom(document, original, bits).name()


@step("volume.download", 2, lambda r: [any_name(r), any_name(r), r.choice([0, 512, 1 << 30]), r.choice([0, 512]), flags(r, 1)])
def download(conn, name, vol, offset, length, bits):
    stream = conn.newStream()
    conn.storagePoolLookupByName(name).storageVolLookupByName(vol).download(stream, offset, length, bits)
    got = stream.recv(1 << 16)
    stream.abort()
    return type(got).__name__


@step("volume.upload", 2, lambda r: [any_name(r), any_name(r), r.choice([0, 512, 1 << 30]), r.choice([0, 512]), flags(r, 1)])
def upload(conn, name, vol, offset, length, bits):
    stream = conn.newStream()
    conn.storagePoolLookupByName(name).storageVolLookupByName(vol).upload(stream, offset, length, bits)
    stream.send(b"x" * 512)
    stream.finish()


# ---- secrets ----
USAGES = ["<usage type='volume'><volume>/v</volume></usage>", "<usage type='ceph'><name>c</name></usage>", "<usage type='iscsi'><target>t</target></usage>",
          "<usage type='tls'><name>n</name></usage>", "<usage type='vtpm'><name>m</name></usage>", "", "<usage type='x'/>", "<usage type='ceph'/>"]
SECRETS = list(UUIDS.values())


def secret(r):
    uuid = r.choice([f"<uuid>{each}</uuid>" for each in SECRETS])
    attributes = r.choice(["", "", " ephemeral='yes'", " private='yes'", " ephemeral='yes' private='yes'", " ephemeral='x'"])
    return f"<secret{attributes}>{uuid}<description>d</description>{r.choice(USAGES)}</secret>"


def on_secret(name, weight=1, make=lambda r: [], then=lambda answer: answer):
    def ask(conn, which, *args):
        return then(getattr(conn.secretLookupByUUIDString(which), name)(*args))
    OBJECTS.add("secret." + name, weight, lambda r: [r.choice(SECRETS), *make(r)], ask)


OBJECTS.plain("secretDefineXML", 6, lambda r: [secret(r), flags(r, 1)], then=lambda s: s.UUIDString())
OBJECTS.plain("secretLookupByUsage", 1, lambda r: [r.randrange(0, 7), r.choice(["/v", "c", "t", "x"])], then=lambda s: s.UUIDString())
OBJECTS.plain("listAllSecrets", 1, lambda r: [r.choice([0, 1, 2, 4, 8, 16])], then=lambda all: sorted(s.UUIDString() for s in all))
on_secret("XMLDesc", 2, lambda r: [flags(r)]), on_secret("undefine", 2), on_secret("usageID"), on_secret("usageType")
on_secret("value", 2, lambda r: [flags(r)], then=lambda answer: answer.hex())


@step("secret.setValue", 3, lambda r: [r.choice(SECRETS), r.choice(["", "x", "y" * 100]), flags(r)])
def set_value(conn, which, value, bits):
    conn.secretLookupByUUIDString(which).setValue(value.encode(), bits)


# ---- filters ----
FILTERS = [
    "<rule action='drop' direction='in'><tcp srcportstart='5'/></rule>",
    "<rule action='accept' direction='inout' priority='100'><ip protocol='udp'/></rule>",
    "<filterref filter='b'/>",
    "<filterref filter='a'/>",
    "<filterref filter='nosuch'/>",
    "<rule action='nonsense' direction='in'/>",
]


def nwfilter(r):
    name = r.choice(["a", "a", "b"])
    chain = r.choice(["", "", " chain='ipv4'", " chain='root' priority='5'", " chain='x'"])
    uuid = r.choice([f"<uuid>{UUIDS[name]}</uuid>"] * 4 + ["", f"<uuid>{UUIDS['b']}</uuid>"])
    return f"<filter name='{name}'{chain}>{uuid}{r.choice(FILTERS)}</filter>"


def on_filter(name, weight=1, make=lambda r: []):
    def ask(conn, which, *args):
        return getattr(conn.nwfilterLookupByName(which), name)(*args)
    OBJECTS.add("filter." + name, weight, lambda r: [any_name(r), *make(r)], ask)


OBJECTS.plain("nwfilterDefineXMLFlags", 5, lambda r: [nwfilter(r), flags(r, 1)], then=lambda f: f.name())
OBJECTS.plain("listAllNWFilters", 1, lambda r: [flags(r)], then=lambda all: sorted(f.name() for f in all if len(f.name()) == 1))
on_filter("XMLDesc", 2, lambda r: [flags(r)]), on_filter("undefine", 2)

# ---- the host ----
CPU = "<cpu match='exact'><model fallback='allow'>{}</model><feature policy='require' name='{}'/></cpu>"
OBJECTS.plain("compareCPU", 1, lambda r: [r.choice([CPU.format("qemu64", "svm"), CPU.format("nonsense", "svm"), CPU.format("Haswell", "x"), "<cpu/>", "<x/>"]), flags(r, 1, 2)])
OBJECTS.plain("getCPUModelNames", 1, lambda r: [r.choice(["x86_64", "ppc64", "x", ""]), flags(r)], then=len)
OBJECTS.plain("getMaxVcpus", 1, lambda r: [r.choice([None, "qemu", "kvm", "xen", "x"])])
OBJECTS.plain("getDomainCapabilities", 1, lambda r: [r.choice([None, "/usr/bin/qemu-system-x86_64", "/bin/false", "/nosuch"]), r.choice([None, "x86_64", "i686", "x", "ppc64"]),
                                                     r.choice([None, "pc", "q35", "x"]), r.choice([None, "qemu", "kvm", "xen", "x"]), flags(r)])
OBJECTS.plain("getStoragePoolCapabilities", 1, lambda r: [flags(r)])
OBJECTS.plain("getFreePages", 1, lambda r: [r.choice([[4], [4, 2048], [3]]), r.choice([-1, 0, 5]), 1, flags(r)], then=lambda answer: type(answer).__name__)
OBJECTS.plain("getCellsFreeMemory", 1, lambda r: [r.choice([-1, 0, 5]), r.choice([0, 1, 5])], then=len)
OBJECTS.plain("getMemoryStats", 1, lambda r: [r.choice([-1, 0, 5]), flags(r)], then=keys)
OBJECTS.plain("getCPUStats", 1, lambda r: [r.choice([-1, 0, 5, 99]), flags(r)], then=keys)
OBJECTS.plain("getMemoryParameters", 1, lambda r: [flags(r)], then=keys)
OBJECTS.plain("setMemoryParameters", 1, lambda r: [r.choice([{"x": 1}, {"shm_full_scans": 5}]), flags(r)])
OBJECTS.plain("suspendForDuration", 1, lambda r: [r.choice([5, 9]), r.choice([0, 5]), flags(r)])
OBJECTS.plain("domainXMLFromNative", 1, lambda r: [r.choice(["qemu-argv", "x"]), "qemu", flags(r)])
OBJECTS.plain("findStoragePoolSources", 1, lambda r: [r.choice(["dir", "netfs", "logical", "disk", "rbd", "x"]), r.choice([None, "<source/>", "<source><host name='127.0.0.1'/></source>"]), flags(r)])
OBJECTS.plain("nodeDeviceCreateXML", 1, lambda r: [r.choice(["<device><name>x</name></device>", "<device><parent>computer</parent><capability type='mdev'><type id='x'/></capability></device>",
                                                             "<device><parent>nosuch</parent><capability type='scsi_host'><capability type='fc_host'/></capability></device>"]), flags(r, 1)])
OBJECTS.plain("nodeDeviceDefineXML", 1, lambda r: [r.choice(["<device><parent>computer</parent><capability type='mdev'><type id='x'/></capability></device>", "<x/>"]), flags(r, 1)])
OBJECTS.plain("interfaceLookupByName", 1, lambda r: [r.choice(["lo", "nosuch", ""])], then=lambda i: [i.name(), i.isActive(), i.MACString()])
OBJECTS.plain("nwfilterBindingCreateXML", 1, lambda r: [r.choice([
    f"<filterbinding><owner><name>o</name><uuid>{UUIDS['a']}</uuid></owner><portdev name='lo'/><mac address='52:54:00:00:00:01'/><filterref filter='{each}'/></filterbinding>"
    for each in ("a", "nosuch", "clean-traffic")]), flags(r, 1)], then=lambda b: b.portDev())
OBJECTS.plain("nwfilterBindingLookupByPortDev", 1, lambda r: [r.choice(["lo", "x"])], then=lambda b: b.filterName())


def on_node_device(name, weight=1, make=lambda r: []):
    def ask(conn, which, *args):
        return getattr(conn.nodeDeviceLookupByName(which), name)(*args)
    OBJECTS.add("nodedev." + name, weight, lambda r: [r.choice(["computer", "net_lo_00_00_00_00_00_00", "nosuch"]), *make(r)], ask)


on_node_device("parent"), on_node_device("numOfCaps"), on_node_device("listCaps"), on_node_device("destroy"), on_node_device("undefine", 1, lambda r: [flags(r)])
on_node_device("reset"), on_node_device("dettach"), on_node_device("detachFlags", 1, lambda r: [r.choice([None, "vfio", "x"]), flags(r)]), on_node_device("reAttach")
on_node_device("create", 1, lambda r: [flags(r)]), on_node_device("setAutostart", 1, lambda r: [1]), on_node_device("autostart"), on_node_device("isActive"), on_node_device("isPersistent")


def clean(conn):
    """Ends what a walk has left."""
    for each in conn.listAllNetworks() + conn.listAllStoragePools():
        if each.isActive():
            each.destroy()
    for each in conn.listAllNetworks() + conn.listAllStoragePools() + conn.listAllSecrets():
        each.undefine()
    for binding in conn.listAllNWFilterBindings():
        binding.delete()
    for _ in range(2):  # one may use the other
        for each in conn.listAllNWFilters():
            if len(each.name()) == 1:
                try:
                    each.undefine()
                except libvirt.libvirtError:
                    pass
