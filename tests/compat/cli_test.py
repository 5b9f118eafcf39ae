#!/usr/bin/python3
"""lodge against virsh, byte for byte, on test:///default: what one prints, the other must print.

LODGE_BIN names the lodge to test (default: the installed one in a world, else build/debug/lodge of this tree). Errors are compared as text: virsh says
them in two lines, lodge in one.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LODGE = os.environ.get("LODGE_BIN") or (os.environ.get("LODGE_WORLD") and shutil.which("lodge")) or os.path.join(ROOT, "build/debug/lodge")
URI = "test:///default"

DOMAIN = "<domain type='test'><name>zz</name><memory>4096</memory><os><type>hvm</type></os></domain>"
NETWORK = "<network><name>other</name><bridge name='virbr7'/><ip address='192.0.2.1' netmask='255.255.255.0'/></network>"
INTERFACE = "<interface type='ethernet' name='eth7'><start mode='none'/><mac address='aa:bb:cc:dd:ee:07'/></interface>"
POOL = "<pool type='dir'><name>pond</name><target><path>/pond</path></target></pool>"
VOLUME = "<volume><name>grain</name><capacity unit='MiB'>1</capacity><target><format type='raw'/></target></volume>"

# A line is one run of the program; the pseudo file names {domain} and so on are documents.
SAME_OUTPUT = """
uri
hostname
version
version --daemon
nodeinfo
capabilities
maxvcpus
sysinfo
list
list --all
list --inactive
list --name
list --uuid
list --id
list --id --name --uuid
list --title
list --table
list --persistent --all
list --transient
list --state-running
list --state-paused
list --all --autostart
list --all --no-autostart
list --with-snapshot --without-managed-save
define {domain}; list --all; list --all --id; list --all --name --id; dominfo zz; domstate zz; domid zz
create {domain}; list; destroy zz; list --all
dominfo test
dominfo 1
dominfo 6695eb01-f6a4-8304-79aa-97f2502e193f
domstate test
domstate test --reason
domid test
domuuid test
domname 1
domname 6695eb01-f6a4-8304-79aa-97f2502e193f
dumpxml test
dumpxml --inactive test
dumpxml test --xpath //memory
dumpxml test --xpath //os
dumpxml test --xpath //@type
dumpxml test --xpath //os --wrap
dumpxml test --xpath //nosuch
dumpxml test --xpath //nosuch --wrap
destroy test; list --all; start test; list
start test
shutdown test; list --all; domstate test --reason
shutdown test --mode acpi
reboot test
reset test
suspend test; list; list --state-paused; resume test; domstate test --reason
autostart test; dominfo test; autostart test --disable; list --autostart
destroy test; undefine test; list --all
destroy test; domrename test foo; list --all
vcpucount test --current --live
nodedev-dumpxml computer
nodedev-dumpxml computer --xpath //vendor
nodedev-info computer
nodedev-event --list
secret-event --list
net-destroy default; net-destroy default
desc test; desc test some new text; desc test; desc test --title The title; list --title
setmem test 1G; dominfo test
setmem test 1048576 --live; dominfo test
setmem test 1M --config; dumpxml --inactive test
setvcpus test 1; vcpucount test
vcpucount test
vcpucount test --live
vcpucount test --config --maximum
vcpucount test --active --current
domblklist test
domblklist test --details
domiflist test
domifaddr test
domifaddr test --full
domcontrol test
domhostname test
dommemstat test
inject-nmi test
net-list
net-list --all
net-list --inactive
net-list --name
net-list --uuid
net-list --all --autostart
net-info default
net-uuid default
net-name dd8fe884-6c02-601e-7551-cca97df1c5df
net-dumpxml default
net-destroy default; net-list --all; net-start default; net-list
net-autostart default; net-info default; net-autostart default --disable; net-list --autostart
net-define {network}; net-list --all; net-start other; net-info other; net-undefine other; net-list --all
net-create {network}; net-list; net-destroy other; net-list --all
net-update default add-last ip-dhcp-host "<host mac='aa:bb:cc:dd:ee:01' ip='192.168.122.30'/>" --live; net-dumpxml default
iface-list
iface-list --all
iface-list --inactive
iface-mac eth1
iface-name aa:bb:cc:dd:ee:ff
iface-dumpxml eth1
iface-destroy eth1; iface-list; iface-list --all; iface-start eth1; iface-list
iface-define {interface}; iface-list --all; iface-start eth7; iface-list; iface-undefine eth7
iface-begin; iface-undefine eth1; iface-list --all; iface-rollback; iface-list --all
iface-begin; iface-commit
event --list
net-event --list
pool-list
pool-list --all --details
pool-list --name
pool-list --uuid
pool-list --uuid --name
pool-list --type dir
pool-info default-pool
pool-info default-pool --bytes
pool-uuid default-pool
pool-dumpxml default-pool
pool-destroy default-pool; pool-list --all; pool-info default-pool; pool-start default-pool; pool-refresh default-pool
pool-autostart default-pool; pool-list --autostart; pool-autostart default-pool --disable
pool-destroy default-pool; pool-undefine default-pool; pool-list --all
vol-list default-pool
vol-list default-pool --details
pool-create-as p dir --target /t; pool-list --all; pool-info p; pool-destroy p; pool-list --all
pool-define-as p dir --target /t; pool-dumpxml p; pool-build p; pool-start p; pool-destroy p; pool-delete p; pool-undefine p
pool-define-as p netfs --source-host h --source-path /e --source-format nfs --source-protocol-ver 4.1 --target /t --print-xml
pool-define-as p iscsi --source-host h --source-dev iqn.x --source-initiator iqn.y --auth-type chap --auth-username u --secret-usage s --target /dev/x --print-xml
pool-define-as p scsi --adapter-wwnn 1 --adapter-wwpn 2 --adapter-parent scsi_host3 --target /dev/x --print-xml
pool-create-as p scsi --adapter-name scsi_host1 --target /dev/x --print-xml
pool-define-as p logical --source-name vg --source-dev /dev/a --print-xml
pool-create {pool}; pool-list --all; pool-edit pond; pool-destroy pond
pool-event --list
find-storage-pool-sources netfs
find-storage-pool-sources-as netfs --host h --port 1
vol-create default-pool {volume}; vol-list default-pool; vol-info grain default-pool; vol-delete grain default-pool
vol-create-as default-pool b 8M; vol-info b default-pool; vol-clone b c default-pool; vol-list default-pool
vol-create-as default-pool b 8M --allocation 4k --format raw --print-xml
vol-create-as default-pool b 8M; vol-create-as default-pool d 8M --format qcow2 --backing-vol b --backing-vol-format raw --print-xml
vol-create-as default-pool b 8M; vol-create-from default-pool {volume} b --inputpool default-pool; vol-list default-pool
vol-create-as default-pool b 8M; vol-clone b c default-pool --print-xml
nodecpumap
nodecpumap --pretty
freecell
freecell 0
freecell --all
freepages --all
nodecpustats --cpu 0
cpu-stats test --start 0 --count 1
iothreadinfo test
iothreadadd test 9; iothreadinfo test; iothreaddel test 9
iothreadset test 2 --poll-max-ns 5 --poll-grow 2
iothreadpin test 2 0; iothreadinfo test
metadata test http://example.com/m --key k --set "<a b='1'/>"; metadata test http://example.com/m; metadata test http://example.com/m --remove
attach-disk test /nowhere vdz --print-xml
attach-disk test /nowhere vdz --print-xml --driver qemu --subdriver qcow2 --cache none --io native --targetbus virtio --type cdrom --mode readonly --serial s --wwn 5000c50015ea71ad --alias ua-a --rawio --iothread 1
attach-disk test pool/image vdz --print-xml --source-protocol rbd --source-host-name a:7000
attach-disk test image sdz --print-xml --source-protocol nbd --source-host-transport unix --source-host-socket /s --address scsi:0.0.1
attach-disk test image vdz --print-xml --address pci:0000.00.0a.0 --multifunction
attach-interface test network default --print-xml
attach-interface test bridge br0 --target t0 --mac 52:54:00:00:00:01 --script /s --model virtio --alias ua-b --inbound 1,2,3,4 --outbound 5,6 --managed --print-xml
attach-interface test hostdev 0000:03:00.1 --managed --print-xml
attach-interface test vhostuser /s --source-mode client --print-xml
blockcopy test vda --dest /copy --format qcow2 --print-xml
blockcopy test vda --dest /dev/copy --blockdev --print-xml
numatune test
blkiotune test
domiftune test aa:bb:cc:dd:ee:ff
domiftune test aa:bb:cc:dd:ee:ff --inbound 10,20,30 --outbound 5; domiftune test aa:bb:cc:dd:ee:ff
iothreadadd test 2
perf test
perf test --enable cmt
set-lifecycle-action test poweroff destroy
send-process-signal test 1 SIGKILL
help pool-create-as
help vol-upload
help migrate-compcache
help blockcopy
help attach-disk
help attach-interface
help qemu-monitor-command
help iothreadset
help pool-list
help vol-info
help events
help list
help start
help undefine
help dumpxml
help send-key
help desc
help net-update
help iface-bridge
help event
help domifaddr
domid test; domid nosuch; domid test
echo a 'b c'  "d\\"e" f\\ g
echo --shell a 'b c' "d'e"
echo --xml "<a b='c'>"
connect test:///default; uri
; list ;; # comment
quit; list
list --help
"""

SAME_FAILURE = """
pool-create {domain}
pool-create-as p nonsense
pool-define-as p dir --secret-usage a --secret-uuid b --print-xml
pool-build nosuch
pool-build default-pool --overwrite --no-overwrite
pool-delete default-pool
pool-edit nosuch
pool-event
pool-event --event nonsense
pool-capabilities
find-storage-pool-sources nonsense
vol-create nosuch {volume}
vol-create default-pool {domain}
vol-create-as default-pool b nonsense
vol-create-as default-pool b 1X
vol-create-as default-pool b 1M --backing-vol nosuch
vol-create-from default-pool {volume} nosuch
vol-clone nosuch c
vol-resize nosuch 1M
vol-create-as default-pool b 1M; vol-resize b -1M default-pool
vol-create-as default-pool b 1M; vol-wipe b default-pool --algorithm nonsense
vol-upload nosuch {volume}
vol-download nosuch {scratch}/x
freecell 99
freepages
freepages --cellno 0
freepages --all --cellno 0
allocpages 4K 1
allocpages nonsense 1
nodesuspend nonsense 60
nodesuspend mem -5
nodesevinfo
node-memory-tune
cpu-stats test --start -1
cpu-stats test --start 999
cpu-stats test --count -1
iothreadadd test 0
iothreaddel test 99
iothreadset test 2
iothreadpin test 99 0
iothreadpin test 2 nonsense
blockjob test vda --raw --abort
blockjob test vda
blockcommit test vda --pivot --keep-overlay
blockcommit test vda --verbose
blockpull test vda --async
blockpull test vda
blockcopy test vda
blockcopy test vda --dest /x --verbose
blockresize test vda nonsense
blockresize test vda 1M
domblkthreshold test vda 1M
attach-disk test /nowhere vdz --mode nonsense
attach-disk test /nowhere vdz --sourcetype nonsense
attach-disk test /nowhere vdz --sourcetype network
attach-disk test /nowhere vdz --source-host-name a
attach-disk test /nowhere vdz --address nonsense --print-xml
attach-disk test /nowhere vdz --address ide:0.0.1 --print-xml
attach-interface test nonsense x --print-xml
attach-interface test vhostuser x --print-xml
attach-interface test network default --inbound ,2 --print-xml
attach-interface test network default --inbound 1,2,3,4,5 --print-xml
attach-interface test network default --outbound x --print-xml
numatune test --mode nonsense
blkiotune test --weight 0
domiftune test nosuch
metadata test http://example.com/m
metadata test http://example.com/m --set "<a/>"
metadata test http://example.com/m --set "<a/>" --remove
set-lifecycle-action test nonsense destroy
set-lifecycle-action test poweroff nonsense
send-process-signal test 1 nonsense
dompmsuspend test nonsense
dompmsuspend test mem
dompmwakeup test
domlaunchsecinfo test
domsetlaunchsecstate test
domxml-to-native qemu-argv
domxml-to-native qemu-argv --domain test
domxml-from-native qemu-argv {domain}
update-memory-device test --node 1 --alias x
update-memory-device test
guestvcpus test
guestvcpus test --enable
guestvcpus test --cpulist 1
get-user-sshkeys test root
set-user-sshkeys test root
set-user-sshkeys test root --remove
guest-agent-timeout test
qemu-agent-command test {} --timeout 0
qemu-agent-command test {} --async --block
migrate test test:///default --live --offline
migrate test test:///default --timeout 5
migrate test test:///default --timeout-suspend
migrate test test:///default --postcopy-resume
migrate-getspeed test
migrate-setmaxdowntime test 0
migrate-getmaxdowntime test
migrate-compcache test
migrate-postcopy test
dom-fd-associate test n --pass-fds 0,x
nodedev-dumpxml nobody
nodedev-event
nodedev-event --event nonsense
nodedev-list --cap nonsense
nodedev-list --tree --cap system
nodedev-list --all --inactive
secret-event --event nonsense
net-port-list default --uuid --table
nosuch
list --foo
list foo
list --all=3
list --table --name
dominfo
dominfo nosuch
dominfo test --domain test
domid --domain
dumpxml nosuch
setmem test
setmem test foo
setmem test 0
setvcpus test 3
setvcpus test 0
setmaxmem test 1G
start test
start nosuch
suspend nosuch
destroy test; destroy test
resume test
shutdown test --mode foo
domrename test foo
undefine test --nvram --keep-nvram
undefine test --remove-all-storage
vcpucount test --live --config
attach-device test {domain}
detach-device test {domain}
update-device test {domain}
define /nosuch/file
define {network}
create {domain}; create {domain}
domdisplay test
vncdisplay test
domifaddr test --source foo
net-info nosuch
net-start default
net-start nosuch
net-define {domain}
net-update default foo ip-dhcp-host <host/>
net-update default add foo <host/>
net-dhcp-leases default
pool-info nosuch
pool-name nosuch
pool-start default-pool
pool-list --details --uuid
pool-list --type foo
pool-define {domain}
vol-info nosuch
vol-info nosuch default-pool
vol-name nosuch
vol-delete nosuch
iface-dumpxml nosuch
iface-mac nosuch
iface-start eth1
iface-define {domain}
iface-commit
iface-rollback
event
event --event foo
event --all --timeout abc
event --event lifecycle --domain nosuch
net-event
net-event --event foo
help nosuch
send-key test KEY_NOSUCH
send-key test --codeset foo 30
domjobinfo test
backup-begin test
console test
cd /
connect foo:///bar
domid test; nosuch
echo "a
echo a\\
"""


def run(program, *words, env=None, stdin=subprocess.DEVNULL, timeout=20):
    merged = {**{k: v for k, v in os.environ.items() if k != "VISUAL"}, "LC_ALL": "C.UTF-8", "EDITOR": "true", "HOME": "/nonexistent", **(env or {})}
    return subprocess.run([program, *words], capture_output=True, text=True, stdin=stdin, timeout=timeout, env=merged)


def error_words(stderr):
    """All error lines as one text, so that two lines of virsh and one of lodge compare."""
    text = " ".join(line.removeprefix("error: ") for line in stderr.splitlines())
    return re.sub(r"[\s:]+", " ", text).strip()


def settle(text):
    """What may differ from run to run, and the program's own name."""
    text = re.sub(r"CPU time: .*", "CPU time: X", text)
    text = re.sub(r"last_update \d+", "last_update X", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"aa:bb:cc:[0-9a-f:]{8}", "MAC", text)
    return text.replace("virsh", "lodge")


@unittest.skipUnless(shutil.which("virsh"), "virsh is not installed")
class SameAsVirsh(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.names = {"scratch": cls.folder.name}
        for name, text in (("domain", DOMAIN), ("network", NETWORK), ("interface", INTERFACE), ("pool", POOL), ("volume", VOLUME)):
            cls.names[name] = os.path.join(cls.folder.name, name + ".xml")
            with open(cls.names[name], "w") as file:
                file.write(text)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def both(self, line):
        for name, path in self.names.items():
            line = line.replace("{%s}" % name, path)
        return run("virsh", "-c", URI, line), run(LODGE, "-c", URI, line)

    def test_output(self):
        for line in SAME_OUTPUT.strip().splitlines():
            with self.subTest(line):
                theirs, ours = self.both(line)
                self.assertEqual(settle(theirs.stdout), settle(ours.stdout))
                self.assertEqual(error_words(theirs.stderr), error_words(ours.stderr))
                self.assertEqual(theirs.returncode, ours.returncode)

    def test_failures(self):
        for line in SAME_FAILURE.strip().splitlines():
            with self.subTest(line):
                theirs, ours = self.both(line)
                self.assertEqual(settle(theirs.stdout), settle(ours.stdout))
                self.assertEqual(error_words(settle(theirs.stderr)), error_words(settle(ours.stderr)))
                self.assertEqual(theirs.returncode, ours.returncode)
                self.assertEqual(1, len(ours.stderr.splitlines()), "one line says it all: " + ours.stderr)

    def test_quiet(self):
        for line in ("list", "list --all --name", "dominfo test", "start test", "destroy test; start test", "net-list", "desc test",
                     "net-info default", "iface-list", "domifaddr test", "dumpxml test", "capabilities", "domid test; domid nosuch"):
            with self.subTest(line):
                theirs, ours = run("virsh", "-q", "-c", URI, line), run(LODGE, "-q", "-c", URI, line)
                self.assertEqual(settle(theirs.stdout), settle(ours.stdout))
                self.assertEqual(theirs.returncode, ours.returncode)

    def test_words_of_one_command(self):
        for words in (["list", "--all"], ["echo", "a;b", "c d"], ["domid", "--", "test"], ["dumpxml", "--domain=test"], ["list", ";"],
                      ["domid"]):
            with self.subTest(words):
                theirs, ours = run("virsh", "-c", URI, "-q", *words), run(LODGE, "-c", URI, "-q", *words)
                self.assertEqual(theirs.stdout, ours.stdout)
                self.assertEqual(error_words(theirs.stderr), error_words(ours.stderr))
                self.assertEqual(theirs.returncode, ours.returncode)

    def test_readonly(self):
        theirs, ours = (run(p, "-r", "-c", URI, "destroy", "test") for p in ("virsh", LODGE))
        self.assertEqual(error_words(theirs.stderr), error_words(ours.stderr))

    def test_editing(self):
        for line, editor in (("edit test", "true"), ("edit test; dominfo test", "sed -i s/8388608/8388607/"), ("net-edit default", "true"),
                             ("net-edit default; net-dumpxml default", "sed -i s/192.168.122.128/192.168.122.129/"),
                             ("desc test --edit", "true"), ("desc test --edit; desc test", "sh -c 'printf new > $0'")):
            with self.subTest(line + " with " + editor):
                theirs, ours = (run(p, "-c", URI, line, env={"EDITOR": editor}) for p in ("virsh", LODGE))
                self.assertEqual(settle(theirs.stdout), settle(ours.stdout))
                self.assertEqual(theirs.returncode, ours.returncode)

    def test_environment(self):
        for name in ("VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI"):
            with self.subTest(name):
                self.assertEqual(URI + "\n\n", run(LODGE, "uri", env={name: URI}).stdout)


class LodgeItself(unittest.TestCase):
    def lodge(self, *words, **more):
        return run(LODGE, "-c", URI, *words, **more)

    def json(self, *words):
        answer = self.lodge("-o", "json", *words)
        self.assertEqual("", answer.stderr)
        return json.loads(answer.stdout)

    def test_json(self):
        self.assertEqual([{"id": 1, "name": "test", "state": "running", "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f"}], self.json("list"))
        info = self.json("dominfo", "test")
        self.assertEqual((1, "test", 2, True, False), tuple(info[k] for k in ("id", "name", "cpus", "persistent", "autostart")))
        self.assertEqual("active", self.json("net-list")[0]["state"])
        self.assertEqual("virbr0", self.json("net-info", "default")["bridge"])
        self.assertEqual("aa:bb:cc:dd:ee:ff", self.json("iface-list")[0]["mac"])
        self.assertEqual({"state": "running", "reason": "unknown"}, self.json("domstate", "test"))
        self.assertEqual("TEST", self.json("version")["hypervisor"])
        self.assertEqual(16, self.json("nodeinfo")["cpus"])
        self.assertEqual({"maximum": {"config": 2, "live": 2}, "current": {"config": 2, "live": 2}}, self.json("vcpucount", "test"))
        self.assertEqual("192.168.122.3", self.json("domifaddr", "test")[0]["addresses"][0]["address"])
        self.assertEqual("/guest/diskimage1", self.json("domblklist", "test")[0]["source"])
        self.assertEqual([], self.json("list", "--inactive"))
        self.assertEqual(1, self.json("domid", "test"))
        self.assertEqual([], json.loads(self.lodge("list", "--inactive", "-o", "json").stdout))
        self.assertIn("lifecycle", self.json("event", "--list"))

    def test_versions_need_no_daemon(self):
        nowhere = {"LIBVIRT_DEFAULT_URI": "qemu+unix:///system?socket=/nonexistent"}
        for words in (["--version"], ["-v"], ["-V"], ["--help"], ["help"], ["help", "list"], ["echo", "x"]):
            answer = run(LODGE, *words, env=nowhere)
            self.assertEqual(("", 0), (answer.stderr, answer.returncode), words)

    def test_no_daemon(self):
        answer = run(LODGE, "-c", "qemu+unix:///system?socket=/nonexistent", "list")
        self.assertEqual(1, answer.returncode)
        self.assertRegex(answer.stderr, "^error: failed to connect to the hypervisor: .*/nonexistent.*\n$")
        self.assertEqual("", answer.stdout)

    def test_completion(self):
        def words(*typed):
            return self.lodge("--complete", *typed).stdout.split()
        self.assertIn("dominfo", words("domi"))
        self.assertEqual(["test"], words("dominfo", ""))
        self.assertEqual([], words("start", ""))
        self.assertEqual(["--console"], words("start", "x", "--c"))
        self.assertEqual(["acpi", "agent"], words("shutdown", "test", "--mode", "a"))
        self.assertEqual(["default"], words("net-destroy", ""))
        self.assertEqual(["/"], words("define", ""))

    def test_shell_reads_commands(self):
        answer = subprocess.run([LODGE, "-q", "-c", URI], input="list --name\ndomid nosuch\n\ndomid test; quit\nuri\n", capture_output=True,
                                text=True, timeout=20, env={**os.environ, "HOME": "/nonexistent"})
        self.assertEqual("test\n1\n", answer.stdout)
        self.assertEqual("error: failed to get domain 'nosuch'\n", answer.stderr)

    def test_saving(self):
        """virsh 9.0.0 itself hangs now and then here, so its words stand in this test."""
        with tempfile.TemporaryDirectory() as folder:
            answer = self.lodge(f"save test {folder}/s; list --all --name; restore {folder}/s; list --name")
            self.assertEqual((f"\nDomain 'test' saved to {folder}/s\n\ntest\n\nDomain restored from {folder}/s\n\ntest\n\n", "", 0),
                             (answer.stdout, answer.stderr, answer.returncode))
        answer = self.lodge("-q", "managedsave test; list --all --managed-save; undefine test; managedsave-remove test; list --all")
        self.assertEqual(" -   test   saved\n -   test   shut off\n", answer.stdout)
        self.assertEqual("error: Refusing to undefine while domain managed save image exists\n", answer.stderr)

    def test_backup_of_what_cannot_be_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            answer = self.lodge("backup", "test", folder + "/b")
            self.assertEqual(1, answer.returncode)
            self.assertIn("disk 'vda'", answer.stderr)
            self.assertEqual([], os.listdir(folder))


if __name__ == "__main__":
    if not os.path.exists(LODGE):
        print("no lodge at", LODGE)
        sys.exit(77)
    unittest.main()
