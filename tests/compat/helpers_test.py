#!/usr/bin/python3
"""What runs beside a guest's QEMU and what it is started with: swtpm, virtiofsd, passt, UEFI, transient disks; and why a start
failed."""

import os
import re
import socket
import subprocess
import unittest

import libvirt
import world
from world import bare_xml, guest_xml, virsh, wait_for

LIB = "/var/lib/libvirt"


def processes(word):
    """Pids of the processes that have this word in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line.split(" ")[0] and world.alive(int(pid)):
            found.append(int(pid))
    return found


def gone(pids):
    return not any(world.alive(pid) for pid in pids)


class Helpers(world.Case):
    def create(self, xml):
        conn = self.connect()
        return conn.createXML(xml, 0)

    def shared(self, name, devices, head=""):
        return bare_xml(name, memory=64, extra=f"<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>{head}", devices=devices)

    @world.only_lodge  # the peer's swtpm may not write its log below a folder that is not there in this world
    def test_a_tpm_starts_survives_the_daemon_and_ends_with_its_guest(self):
        dom = self.create(bare_xml("tpm", devices="<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"))
        uuid = dom.UUIDString()
        pids = processes("swtpm")
        self.assertEqual(len(pids), 1)
        self.assertEqual(os.stat(f"/proc/{pids[0]}").st_uid, __import__("pwd").getpwnam("tss").pw_uid)
        self.assertTrue(os.path.exists(f"{LIB}/swtpm/{uuid}/tpm2/tpm2-00.permall"))
        said = virsh("qemu-monitor-command", "tpm", "--pretty", '{"execute":"query-tpm"}').out
        self.assertIn("tpm-tis", said)
        world.daemon.restart(9)
        self.assertEqual(virsh("domstate", "tpm").out.strip(), "running")
        self.assertTrue(world.alive(pids[0]))
        virsh("destroy", "tpm")
        wait_for(lambda: gone(pids), 10, "swtpm ends with its guest")

    @world.only_lodge
    def test_a_helper_whose_guest_died_without_a_daemon_is_ended(self):
        self.create(bare_xml("orphan", devices="<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"))
        pids = processes("swtpm")
        qemu = world.qemu_pid("orphan")
        for pid in pids:
            os.kill(pid, 19)  # it cannot see its guest's end
        world.daemon.stop(9)
        os.kill(qemu, 9)
        wait_for(lambda: not world.alive(qemu), 10, "QEMU is dead")
        world.daemon.start()
        wait_for(lambda: gone(pids), 20, "swtpm was ended")

    def test_a_missing_image_needs_no_helper(self):
        disk = "<disk type='file' device='disk'><source file='/nowhere.img'/><target dev='vda' bus='virtio'/></disk>"
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR if world.IS_LODGE else libvirt.VIR_ERR_SYSTEM_ERROR, "/nowhere.img"):
            self.create(bare_xml("imageless", devices=disk + "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"))
        self.assertEqual(processes("swtpm"), [])

    @world.only_lodge  # the peer looks for a descriptor that this world's /usr has not
    def test_a_folder_of_the_host_in_the_guest(self):
        os.makedirs("/var/lib/world/shared", exist_ok=True)
        with open("/var/lib/world/shared/hello", "w") as f:
            f.write("from the host\n")
        fs = "<filesystem type='mount'><driver type='virtiofs'/><source dir='/var/lib/world/shared'/><target dir='own'/></filesystem>"
        self.create(self.shared("folder", fs))
        pids = processes("virtiofsd")
        self.assertTrue(pids)
        self.assertIn("vhost-user-fs-pci", virsh("qemu-monitor-command", "folder", "--hmp", "info qtree").out)
        world.daemon.restart(9)
        virsh("destroy", "folder")
        wait_for(lambda: gone(pids), 10, "virtiofsd ends with its guest")

    @world.only_lodge
    def test_passt_serves_a_user_network(self):
        nic = "<interface type='user'><backend type='passt'/><model type='virtio'/></interface>"
        virsh("create", self.write("walker", guest_xml("walker", nics=0, devices=nic)))
        pids = processes("passt")
        self.assertTrue(pids)
        console = world.Console("walker")
        self.addCleanup(console.close)
        console.expect("GUEST-UP 1 nics", 180)
        console.expect(r"GUEST-IP eth0 198\.51\.100\.2", 120)  # passt hands on the host's own address
        virsh("destroy", "walker")
        wait_for(lambda: gone(pids), 10, "passt ends with its guest")

    def write(self, name, xml):
        path = f"/run/tmp/{name}.xml"
        with open(path, "w") as f:
            f.write(xml)
        return path

    def test_shared_memory_is_a_file_that_goes_with_the_guest(self):
        head = "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"
        dom = self.create(bare_xml("filed", extra=head))
        folder = f"{LIB}/qemu/ram/{dom.ID()}-filed"
        self.assertEqual(os.listdir(folder), ["pc.ram"])
        dom.destroy()
        wait_for(lambda: not os.path.exists(folder), 10, "its folder is removed")

    def test_a_transient_disk_forgets(self):
        image = f"{world.IMAGES}/forgetful.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "4M"], check=True)
        disk = f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{image}'/><target dev='vda' bus='virtio'/><transient/></disk>"
        dom = self.create(bare_xml("forgetful", devices=disk))
        overlay = f"{image}.TRANSIENT-forgetful"
        self.assertTrue(os.path.exists(overlay))
        self.assertIn(overlay, dom.XMLDesc())
        dom.destroy()
        wait_for(lambda: not os.path.exists(overlay), 10, "the overlay is removed")
        self.assertTrue(os.path.exists(image))

    def test_uefi_starts(self):
        extra = "<features><acpi/></features>"
        xml = guest_xml("uefi", memory=256, nics=0).replace("<os>", "<os firmware='efi'><firmware><feature enabled='no' name='secure-boot'/></firmware>")
        xml = re.sub(r"<kernel>.*</cmdline>", "", xml, flags=re.S)
        virsh("define", self.write("uefi", xml))
        virsh("start", "uefi")
        self.assertTrue(os.path.exists(f"{LIB}/qemu/nvram/uefi_VARS.fd"), extra)
        live = virsh("dumpxml", "uefi").out
        self.assertRegex(live, r"<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>")
        self.assertRegex(live, r"<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/uefi_VARS.fd</nvram>")
        console = world.Console("uefi")
        self.addCleanup(console.close)
        console.expect(r"BdsDxe|UEFI|PXE|Shell>", 240)
        virsh("destroy", "uefi")
        with open(f"{LIB}/qemu/nvram/uefi_VARS.fd", "r+b") as f:
            f.write(b"spoilt")
        virsh("start", "uefi", "--reset-nvram")
        with open(f"{LIB}/qemu/nvram/uefi_VARS.fd", "rb") as f:
            self.assertNotEqual(f.read(6), b"spoilt")

    def test_secure_boot_brings_what_it_needs(self):
        xml = bare_xml("secure", memory=64).replace("machine='pc'", "machine='q35'").replace("<os>", "<os firmware='efi'>").replace("</os>", "<firmware><feature enabled='yes' name='secure-boot'/></firmware></os><features><acpi/></features>")
        xml = re.sub(r"(<os firmware='efi'>)(<type.*?</type>)(<firmware>.*?</firmware>)", r"\1\2\3", xml)
        dom = self.create(xml)
        live = dom.XMLDesc()
        self.assertRegex(live, r"<smm state='on'/>")
        self.assertRegex(live, r"<loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>")

    @world.only_lodge
    def test_why_a_start_failed(self):
        os.makedirs("/var/lib/world/private", mode=0o700, exist_ok=True)
        os.chmod("/var/lib/world/private", 0o700)
        image = "/var/lib/world/private/disk.img"
        subprocess.run(["qemu-img", "create", "-q", "-f", "raw", image, "1M"], check=True)
        disk = f"<disk type='file' device='disk'><source file='{image}'/><target dev='vda' bus='virtio'/></disk>"
        virsh("define", self.write("shut-out", bare_xml("shut-out", devices=disk)))
        failed = virsh("start", "shut-out", check=False)
        self.assertIn("Permission denied", failed.err)
        self.assertIn("'/var/lib/world/private' (mode 0700, owner root:root) may not be searched by user 'libvirt-qemu': no x for others", failed.err)
        told = world.run("lodge", "-c", world.URI, "why", "shut-out").out
        self.assertIn("may not be searched by user 'libvirt-qemu'", told)
        self.assertIn("remedy", told)
        self.assertIn("QEMU said", told)
        self.assertIn("last start failed", virsh("dominfo", "shut-out").out)
        os.chmod("/var/lib/world/private", 0o711)
        virsh("start", "shut-out")
        self.assertIn("did not fail", world.run("lodge", "-c", world.URI, "why", "shut-out").out)

    def test_a_socket_of_somebody_else_is_qemus_while_it_runs(self):
        path = "/var/lib/world/ours.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            self.addCleanup(os.unlink, path)
            os.chmod(path, 0o660)
            listener.listen(1)
            self.create(bare_xml("talks", devices=f"<serial type='unix'><source mode='connect' path='{path}'/></serial>"))
            listener.settimeout(10)
            listener.accept()[0].close()
            self.assertNotEqual(os.stat(path).st_uid, 0)
            virsh("destroy", "talks")
            self.assertEqual(os.stat(path).st_uid, 0)

    def test_an_encrypted_disk_opens_with_its_secret_and_nobody_reads_it(self):
        image, word = f"{world.IMAGES}/sealed.luks", "open sesame"
        make = ["qemu-img", "create", "-q", "-f", "luks", "--object", f"secret,id=s,data={word}", "-o", "key-secret=s,iter-time=10", image, "1M"]
        # QEMU 7.2 refuses now and then on a busy host: "Unable to get accurate CPU usage".
        wait_for(lambda: subprocess.run(make).returncode == 0, 20, "an image")
        secret = self.connect().secretDefineXML("<secret ephemeral='no' private='yes'><usage type='volume'><volume>sealed</volume></usage></secret>")
        self.addCleanup(secret.undefine)
        disk = f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'><encryption format='luks'><secret type='passphrase' uuid='{secret.UUIDString()}'/></encryption></source><target dev='vda' bus='virtio'/></disk>"
        with self.refused(libvirt.VIR_ERR_NO_SECRET):
            self.create(bare_xml("sealed", devices=disk))
        secret.setValue(b"wrong")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Invalid password"):
            self.create(bare_xml("sealed", devices=disk))
        secret.setValue(word.encode())
        self.create(bare_xml("sealed", devices=disk))
        self.assertIn("luks", virsh("qemu-monitor-command", "sealed", '{"execute":"query-named-block-nodes"}').out)
        with open(f"/proc/{world.qemu_pid('sealed')}/cmdline") as f:
            self.assertNotIn(word, f.read())
        with open("/var/log/libvirt/qemu/sealed.log") as f:
            self.assertNotIn(word, f.read())

    @unittest.skipUnless(os.path.exists("/dev/vhost-vsock"), "this kernel has no vhost-vsock")
    def test_vsocks_number_themselves(self):
        numbers = []
        for name in ("first", "second"):
            dom = self.create(bare_xml(name, devices="<vsock model='virtio'><cid auto='yes'/></vsock>"))
            numbers.append(int(re.search(r"<cid auto='yes' address='(\d+)'/>", dom.XMLDesc()).group(1)))
        self.assertEqual(len(set(numbers)), 2)


if __name__ == "__main__":
    world.main()
