#!/usr/bin/python3
"""Every command of stock virsh, asked of libvirtd and of lodged in one run: what one prints, says and returns, the other must too.

Skipped where libvirtd is not installed (packaging/install-deps --peer). The walk is virsh_walk.txt. A line is one run of
virsh; `~` in front compares digits as N (figures differ from run to run), `!` compares nothing but the exit code, `>` runs it without
comparing, `?` waits until it succeeds (and, after ` ... `, until its output holds these words). No guest's CPU is taken out: with
that line in the walk QEMU 7.2 aborted at times, under either daemon. What differs on purpose stands in DIFFERENT with its reason;
a line that differs no more is named, and should leave that list.
    tests/compat/virsh_walk_test.py                 the test
    WALK=net- tests/compat/virsh_walk_test.py       only lines with these words (and those marked `>`)
    WALK_KEEP=DIR tests/compat/virsh_walk_test.py   shows each line as it is run, and keeps both daemons' logs in DIR
"""

import contextlib
import difflib
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest

import world

FOLDER = "/run/tmp/walk"
STATE = ("/etc/libvirt", "/var/lib/libvirt")
VOLATILE = ("/run/libvirt", "/var/log/libvirt", "/var/cache/libvirt")

DISK = "/var/lib/libvirt/images/disk.img"
MORE = "/var/lib/libvirt/images/more.img"
ISO = "/var/lib/libvirt/images/media.iso"

GUEST_DEVICES = f"""<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{DISK}'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
<graphics type='vnc' port='-1' autoport='yes'/><video><model type='vga'/></video>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<controller type='pci' model='pcie-root'/><controller type='pci' model='pcie-root-port'/><controller type='pci' model='pcie-root-port'/><controller type='pci' model='pcie-root-port'/>
<controller type='pci' model='pcie-root-port'/>"""

DOCUMENTS = {
    "guest": world.guest_xml("guest", memory=256, devices=GUEST_DEVICES).replace(world.INITRD, world.AGENT_INITRD)
    .replace("<vcpu>1</vcpu>", "<vcpu current='1'>2</vcpu>").replace("<memballoon model='none'/>", "<memballoon model='virtio'/>")
    .replace("<name>guest</name>", "<name>guest</name><uuid>11111111-2222-3333-4444-555555555555</uuid>")
    .replace("<interface type='network'>", "<interface type='network'><mac address='52:54:00:aa:bb:cc'/>"),
    "spare": world.bare_xml("spare", devices="<serial type='pty'/><interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>")
    .replace("<name>spare</name>", "<name>spare</name><uuid>11111111-2222-3333-4444-666666666666</uuid>"),
    "broken": "<domain type='qemu'><name>broken</name>",
    "disk": f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{MORE}'/><target dev='vdb' bus='virtio'/></disk>",
    "nic": "<interface type='network'><mac address='52:54:00:00:00:77'/><source network='default'/><model type='virtio'/></interface>",
    "snapshot": "<domainsnapshot><name>snap</name><description>words</description></domainsnapshot>",
    "checkpoint": "<domaincheckpoint><name>check</name></domaincheckpoint>",
    "net": "<network><name>other</name><uuid>22222222-2222-3333-4444-555555555555</uuid><bridge name='virbr7'/><mac address='52:54:00:11:22:33'/>"
           "<ip address='192.0.2.1' netmask='255.255.255.0'><dhcp><range start='192.0.2.10' end='192.0.2.20'/></dhcp></ip></network>",
    "port": "<networkport><uuid>33333333-2222-3333-4444-555555555555</uuid><owner><uuid>11111111-2222-3333-4444-555555555555</uuid>"
            "<name>guest</name></owner><mac address='52:54:00:7b:35:93'/></networkport>",
    "pool": "<pool type='dir'><name>pond</name><uuid>44444444-2222-3333-4444-555555555555</uuid><target><path>/var/lib/libvirt/pond</path></target></pool>",
    "volume": "<volume><name>a.qcow2</name><capacity unit='MiB'>16</capacity><target><format type='qcow2'/></target></volume>",
    "copy": "<volume><name>c.qcow2</name><capacity unit='MiB'>16</capacity><target><format type='qcow2'/></target></volume>",
    "secret": "<secret ephemeral='no' private='no'><uuid>55555555-2222-3333-4444-555555555555</uuid><description>words</description>"
              "<usage type='volume'><volume>/var/x.img</volume></usage></secret>",
    "private": "<secret ephemeral='yes' private='yes'><uuid>55555555-2222-3333-4444-666666666666</uuid></secret>",
    "filter": "<filter name='gate' chain='root'><uuid>66666666-2222-3333-4444-555555555555</uuid><rule action='drop' direction='in' priority='500'/></filter>",
    "binding": "<filterbinding><owner><name>guest</name><uuid>11111111-2222-3333-4444-555555555555</uuid></owner><portdev name='eth0'/>"
               "<mac address='52:54:00:7b:35:93'/><filterref filter='clean-traffic'/></filterbinding>",
    "mdev": "<device><name>nothing</name><parent>computer</parent><capability type='mdev'><type id='none'/></capability></device>",
    "cpu": "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>",
    "source": "<source><host name='127.0.0.1'/></source>",
}

with open(f"{world.ROOT}/tests/compat/virsh_walk.txt") as file:
    WALK = file.read()

# line -> why it differs
DIFFERENT = {
    "domiftune guest 52:54:00:aa:bb:cc --inbound 1000,2000,3000 --live; domiftune guest 52:54:00:aa:bb:cc":
        "the peer needs the kernel's sfq, which this one may lack",
    "metadata spare http://example.com/a --key k --set \"<a\" --config": "the XML library's own words",
    "net-update other add ip-dhcp-host \"<host mac='52:54:00:00:00:09' ip='192.0.2.15'/>\" --live": "the peer prints a null pointer",
    "vol-wipe b.raw pond; vol-wipe b.raw pond --algorithm random; vol-wipe b.raw pond --algorithm nonsense; vol-wipe b.raw pond --algorithm trim":
        "lodged names the package that is missing",
    "find-storage-pool-sources logical": "lodged names the package that is missing",
    "find-storage-pool-sources-as iscsi": "lodged does not look for iSCSI targets",
    "~ qemu-monitor-command guest --pretty '{\"execute\":\"query-status\"}'": "lodged's own numbers of requests are not shown",
    "qemu-monitor-command guest '{\"execute\":\"nonsense\"}'": "lodged's own numbers of requests are not shown",
    "~ cpu-stats guest": "lodged does not split the time of guest CPUs from the rest",
    "~ cpu-stats guest --start 0 --count 1": "lodged does not split the time of guest CPUs from the rest",
    "~ nodecpustats --cpu 9999": "the peer leaves out the words of the error's code",
    "dumpxml spare --migratable": "lodged leaves in what every release adds by itself",
    "dumpxml guest --xpath //devices/disk": "the end of a backing chain, and the format of an empty drive",
    "schedinfo guest": "figures of I/O threads that the guest does not have",
    "schedinfo guest --set cpu_shares=2048; schedinfo guest --set vcpu_quota=-1": "figures of I/O threads that the guest does not have",
    "blkdeviotune guest vda; blkdeviotune guest vda --total-bytes-sec 1M; blkdeviotune guest vda; blkdeviotune guest vda 0":
        "the name of a group of one disk",
    "nodedev-info net_lo_00_00_00_00_00_00": "the peer forgets it of network cards",
}
UNSERVED = "this function is not supported by the connection driver"


class Peer:
    """A daemon at its standard paths, from a state that is the same for both."""

    def __init__(self, program):
        self.program = program
        self.helpers = []
        for path in VOLATILE:
            shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path)
        for path in STATE:
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(FOLDER + path, path, symlinks=True)
        if program == "libvirtd":
            self.helpers.append(subprocess.Popen(["virtlogd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        with open(f"{FOLDER}/{program}.log", "wb") as log:
            self.helpers.append(subprocess.Popen([program], stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        world.wait_for(self.answers, 30, f"{program} listens")
        world.virsh("list")

    @staticmethod
    def answers():
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as peer:
            return peer.connect_ex(world.SOCKET) == 0

    def stop(self):
        for helper in reversed(self.helpers):
            helper.send_signal(signal.SIGTERM)
            helper.wait(60)


def settle(text, figures):
    """What differs from run to run."""
    text = text.replace("\r", "\n")
    text = re.sub(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}(?!(?:5{12}|6{12}|7{12}))[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"vnet\d+", "vnetN", text)
    text = re.sub(r"(?<=time>)\d+\.\d+", "TIME", text)
    text = re.sub(r" \(line \d+\)$", "", text, flags=re.M)  # lodged names the line of a wrong value
    text = re.sub(r"CPU time: .*", "CPU time: X", text)
    text = re.sub(r"/dev/pts/\d+", "/dev/pts/N", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( [+-]\d{4})?", "DATE", text)
    text = re.sub(r"(?<=<creationTime>)\d+", "TIME", text)
    text = re.sub(r"52:54:00:(?!00:00|aa:bb|7b:35|11:22)[0-9a-f:]{8}", "MAC", text)
    text = re.sub(r"(?m)^(Using library|Using API|Running hypervisor|Compiled).*", r"\1", text)
    text = re.sub(r"(?<=Time elapsed:).*", " X", text)
    if figures:
        text = re.sub(r"\d+(\.\d+)?( [KMG]iB)?", "N", text)
        text = re.sub(r"[ \t]+", " ", text)
        text = re.sub(r"-{3,}", "---", text)
    return text


def wait_for_answer(command, holds=""):
    def answered():
        done = world.virsh(command, check=False)
        return done.rc == 0 and holds in done.out

    world.wait_for(answered, 60, f"{command} answers {holds}")


def walk(program):
    """line -> (exit code, output, errors), as one text."""
    peer = Peer(program)
    answers = {}
    try:
        os.system(f"qemu-img create -q -f qcow2 {DISK} 16M && qemu-img create -q -f raw {MORE} 4M && qemu-img create -q -f raw {ISO} 1M")
        only = os.environ.get("WALK")
        for line in WALK.strip().splitlines():
            if line.startswith("#"):
                continue
            mark, command = (line[0], line[2:]) if line[0] in "~!>?" else (" ", line)
            if only and mark != ">" and only not in command:
                continue
            if os.environ.get("WALK_KEEP"):
                print(f"{program}: {line}", flush=True)
            for name in (*DOCUMENTS, "words"):
                command = command.replace("{%s}" % name, f"{FOLDER}/{name}.xml")
            command = command.replace("{more}", MORE).replace("{iso}", ISO)
            if mark == "?":
                wait_for_answer(*command.split(" ... "))
                continue
            try:
                done = world.virsh(command, check=False, timeout=60)
            except subprocess.TimeoutExpired:
                answers[line] = "no answer\n"
                continue
            if mark == ">":
                assert done.rc == 0, f"{program}: {command}: {done}"
                continue
            if mark == "!":
                answers[line] = f"exit code {done.rc}\n" + (done.err if done.rc else "")
            else:
                answers[line] = f"exit code {done.rc}\n{settle(done.out, mark == '~')}{settle(done.err, mark == '~')}"
    finally:
        world.run("sh", "-c", f"for pid in /run/libvirt/qemu/*.pid; do [ ! -e $pid ] || kill $(cat $pid); done; cp -a /var/log/libvirt {FOLDER}/log.{program}", check=False)
        peer.stop()
        world.run("sh", "-c", "for pid in /run/libvirt/network/*.pid; do [ ! -e $pid ] || kill $(cat $pid); done; ip link del virbr0; ip link del virbr7", check=False)
    return answers


@unittest.skipUnless(shutil.which("libvirtd") and shutil.which("virsh"), "needs libvirtd and virsh")
@unittest.skipUnless(world.IS_LODGE, "asks both daemons by itself")
class Walk(unittest.TestCase):
    maxDiff = None

    def test_every_command_is_walked(self):
        """Commands that virsh has and the walk does not."""
        known = {words.split()[0] for words in world.run("virsh", "help").out.splitlines() if words.startswith("    ")}
        walked = {command.strip().split()[0].lstrip() for line in WALK.splitlines() for command in re.sub("^[~!>?#] ", "", line).split(";") if command.strip()}
        of_the_shell = {"cd", "echo", "exit", "quit", "pwd", "help", "connect"}
        of_an_editor = {name for name in known if name.endswith("edit")}
        not_in_debian = {name for name in known if name.startswith("iface-")}  # its libvirtd has no interface driver
        self.assertEqual(set(), known - walked - of_the_shell - of_an_editor - not_in_debian)

    def test_same_answers(self):
        os.makedirs(world.BOOT, exist_ok=True)
        os.makedirs(world.IMAGES, exist_ok=True)
        for name in ("vmlinuz", "agent.gz"):
            shutil.copy(f"{world.ROOT}/build/guest/{name}", world.BOOT)
            os.chmod(f"{world.BOOT}/{name}", 0o644)
        os.makedirs(FOLDER, exist_ok=True)
        for path in STATE:
            shutil.copytree(path, FOLDER + path, symlinks=True)
        for name, text in DOCUMENTS.items():
            with open(f"{FOLDER}/{name}.xml", "w") as file:
                file.write(text)
        with open(f"{FOLDER}/words.xml", "w") as file:
            file.write("some words\n")
        theirs, ours = walk("libvirtd"), walk("lodged")
        if keep := os.environ.get("WALK_KEEP"):
            shutil.copytree(FOLDER, keep, dirs_exist_ok=True, symlinks=True)
        for line, wanted in theirs.items():
            with self.subTest(line):
                if wanted == ours[line]:
                    if line in DIFFERENT:
                        print(f"differs no more, take it out of DIFFERENT: {line}")
                elif UNSERVED in ours[line]:
                    self.skipTest("a procedure that lodged does not serve yet")
                elif line not in DIFFERENT:
                    self.fail("\n" + "".join(difflib.unified_diff(wanted.splitlines(True), ours[line].splitlines(True), "libvirtd", "lodged", n=1)))


if __name__ == "__main__":
    world.main()
