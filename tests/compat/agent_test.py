#!/usr/bin/python3
"""What a guest's agent answers, asked by stock virsh and python3-libvirt of a real guest with a real agent."""

import contextlib
import json
import os
import threading
import time

import libvirt
import libvirt_qemu
import world
from world import virsh, wait_for

CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def agent_guest(name, nics=0, disk=None, channel=CHANNEL):
    xml = world.guest_xml(name, memory=256, nics=nics, disks=[(disk, "raw")] if disk else [], devices=channel)
    return xml.replace(world.INITRD, world.AGENT_INITRD)


class Agent(world.Case):
    """One guest for all tests of the class: it takes its time to boot."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        world.default_network()
        disk = f"{world.IMAGES}/data.raw"
        with open(disk, "wb") as f:
            f.truncate(16 << 20)
        world.run("mkfs.ext4", "-q", disk)
        os.chmod(disk, 0o666)
        cls.conn = libvirt.open(world.URI)
        cls.guest = cls.conn.createXML(agent_guest("talker", nics=1, disk=disk))
        wait_for(cls.connected, 120, "the agent opens its channel")

    @classmethod
    def tearDownClass(cls):
        cls.guest.destroy()
        cls.conn.close()
        super().tearDownClass()

    def tearDown(self):  # the guest stays
        pass

    @classmethod
    def connected(cls):
        return "state='connected'" in cls.guest.XMLDesc()

    def test_file_systems_are_listed_frozen_thawed_and_trimmed(self):
        infos = {info[0]: info for info in self.guest.fsInfo()}
        self.assertEqual(infos["/data"][2], "ext4")
        self.assertEqual(infos["/data"][3], ["vda"])
        self.assertRegex(virsh("domfsinfo", "talker").out, r"(?m)^ /data +vda +ext4 +vda$")
        frozen = self.guest.fsFreeze()
        try:
            self.assertGreaterEqual(frozen, 1)
            with self.assertRaises(libvirt.libvirtError):
                self.guest.fsInfo()  # a frozen guest answers little
        finally:
            self.assertEqual(self.guest.fsThaw(), frozen)
        self.assertEqual(self.guest.fsFreeze(["/data"]), 1)
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "specifying mountpoints is not supported"):
            self.guest.fsThaw(["/data"])
        self.assertEqual(self.guest.fsThaw(), 1)
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "Specifying mount point is not supported"):
            self.guest.fSTrim("/data", 0)
        self.assertEqual(virsh("domfstrim", "talker", check=False).rc in (0, 1), True)

    def test_the_guest_tells_about_itself(self):
        info = self.guest.guestInfo()
        self.assertEqual(info["hostname"], "guest")
        self.assertEqual(info["os.id"], "tiny")
        self.assertEqual(info["os.pretty-name"], "Tiny Linux 1")
        self.assertEqual(info["user.count"], 0)
        self.assertIn("timezone.offset", info)
        names = [info[f"if.{i}.name"] for i in range(info["if.count"])]
        self.assertEqual(sorted(names), ["eth0", "lo"])
        targets = [info.get(f"fs.{i}.disk.0.alias") for i in range(info["fs.count"])]
        self.assertIn("vda", targets)
        self.assertEqual(set(self.guest.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME)), {"hostname"})
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unsupported guest information types '0x80000000'"):
            self.guest.guestInfo(1 << 31)
        self.assertEqual(virsh("domhostname", "talker").out.strip(), "guest")
        self.assertEqual(self.guest.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT), "guest")

    def test_interface_addresses_by_agent_and_lease(self):
        address = wait_for(lambda: next(iter(world.leases().values()), None), 60, "a lease")

        def by_agent():  # the guest sets the address some time after it was given it
            found = self.guest.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
            return [a["addr"] for a in found["eth0"]["addrs"] or [] if a["type"] == 0] == [address]

        wait_for(by_agent, 10, f"the agent tells of {address}")
        self.assertIn("127.0.0.1", virsh("domifaddr", "talker", "--source", "agent", "--full").out)
        self.assertIn(address, virsh("domifaddr", "talker", "--source", "lease").out)
        self.assertEqual(self.guest.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_LEASE), "guest")

    @world.only_lodge
    def test_interface_addresses_by_arp(self):
        """libvirt 9.0.0 says "wrong nlmsg len" to this on current kernels."""
        address = wait_for(lambda: next(iter(world.leases().values()), None), 60, "a lease")
        wait_for(lambda: world.run("ping", "-c", "1", "-W", "2", address, check=False).rc == 0, 30, "the guest answers a ping")
        self.assertIn(f"{address}/0", virsh("domifaddr", "talker", "--source", "arp").out)

    def test_time_is_told_and_set(self):
        virsh("domtime", "talker", "--time", "1000000000")
        self.assertLess(abs(self.guest.getTime()["seconds"] - 1000000000), 300)
        self.guest.setTime({"seconds": int(time.time()), "nseconds": 0})
        self.assertLess(abs(self.guest.getTime()["seconds"] - time.time()), 300)

    def test_keys_and_passwords_of_users(self):
        key, other = "ssh-ed25519 AAAAC3Nza one", "ssh-ed25519 AAAAC3Nza two"
        self.guest.authorizedSSHKeysSet("root", [key], 0)
        self.guest.authorizedSSHKeysSet("root", [other], libvirt.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND)
        self.assertEqual(sorted(self.guest.authorizedSSHKeysGet("root")), [key, other])
        self.guest.authorizedSSHKeysSet("root", [key], libvirt.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE)
        self.assertEqual(self.guest.authorizedSSHKeysGet("root"), [other])
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "keys in virDomainAuthorizedSSHKeysSet must not be NULL"):
            self.guest.authorizedSSHKeysSet("root", [], libvirt.VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU agent command 'guest-ssh-get-authorized-keys'"):
            self.guest.authorizedSSHKeysGet("nobody-knows")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU agent command 'guest-set-user-password'"):
            self.guest.setUserPassword("nobody-knows", "secret", 0)

    def test_plain_commands_one_after_another(self):
        answers = []

        def ask():
            with libvirt.open(world.URI) as conn:
                guest = conn.lookupByName("talker")
                answers.append(json.loads(libvirt_qemu.qemuAgentCommand(guest, '{"execute": "guest-ping"}', 30, 0)))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(answers, [{"return": {}}] * 8)
        started = json.loads(
            libvirt_qemu.qemuAgentCommand(
                self.guest,
                json.dumps({"execute": "guest-exec", "arguments": {"path": "/bin/hostname", "capture-output": True}}),
                30,
                0,
            )
        )
        self.assertGreater(started["return"]["pid"], 0)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "cannot parse json nonsense"):
            libvirt_qemu.qemuAgentCommand(self.guest, "nonsense", 30, 0)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "guest agent timeout '-5' is less than the minimum '-2'"):
            libvirt_qemu.qemuAgentCommand(self.guest, '{"execute": "guest-ping"}', -5, 0)
        self.assertIn("tainted: custom guest agent control commands issued", self.guest.messages())

    def test_a_guest_that_falls_asleep_while_it_is_asked(self):
        """The agent does not answer what puts it to sleep, nor anything else from then on."""
        self.guest.pMSuspendForDuration(libvirt.VIR_NODE_SUSPEND_TARGET_MEM, 0, 0)
        wait_for(lambda: self.guest.state()[0] == libvirt.VIR_DOMAIN_PMSUSPENDED, 20, "the guest sleeps")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running", origin=libvirt.VIR_FROM_QEMU):
            self.guest.fsInfo()
        self.guest.pMWakeup()
        wait_for(lambda: self.guest.state() == [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_WAKEUP], 20, "the guest is awake")

        def answers():
            with contextlib.suppress(libvirt.libvirtError):
                return self.guest.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT)

        wait_for(answers, 30, "the agent answers again")

    def test_response_timeout(self):
        self.assertEqual(self.guest.agentSetResponseTimeout(20), 0)
        self.assertEqual(self.guest.agentSetResponseTimeout(libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK), 0)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "guest agent timeout '-3' is less than the minimum '-2'"):
            self.guest.agentSetResponseTimeout(-3)


class ComesBack(world.Case):
    """A guest that is put aside and brought back is still connected to its agent."""

    PING = '{"execute":"guest-ping"}'
    STARTED, OF_CHANNEL = libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED, libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL
    ON, OFF = libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED, libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED

    def check(self, what):
        with self.subTest(what):
            wait_for(lambda: self.told == [(self.OFF, self.STARTED), (self.ON, self.OF_CHANNEL)], 10, lambda: f"the agent's events, not {self.told}")
            guest = self.conn.lookupByName("returner")
            self.assertIn("state='connected'", guest.XMLDesc())
            self.assertEqual(json.loads(libvirt_qemu.qemuAgentCommand(guest, self.PING, 30, 0)), {"return": {}})
            self.told.clear()
            return guest

    def test_after_saves_and_snapshots(self):
        disk = f"{world.IMAGES}/returner.qcow2"
        world.run("qemu-img", "create", "-f", "qcow2", disk, "8M")
        os.chmod(disk, 0o666)
        events = world.Events()
        self.addCleanup(events.close)
        self.told = []
        events.conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, lambda _conn, _dom, *told: self.told.append(told[:2]), None
        )
        self.conn = self.connect()
        guest = self.conn.defineXML(agent_guest("returner", disk=disk).replace("type='raw'", "type='qcow2'"))
        guest.create()
        wait_for(lambda: "state='connected'" in guest.XMLDesc(), 120, "the agent opens its channel")
        guest = self.check("start")
        guest.save("/run/tmp/returner")
        self.conn.restore("/run/tmp/returner")
        guest = self.check("restore")
        guest.managedSave()
        guest.create()
        guest = self.check("managed save")
        snapshot = guest.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>")
        guest.revertToSnapshot(snapshot)
        guest = self.check("reverted while it runs")
        guest.destroy()
        guest.revertToSnapshot(snapshot)
        self.check("reverted while it is off")
        guest.destroy()
        snapshot.delete()


class NoAgent(world.Case):
    def test_a_guest_that_is_off(self):
        off = self.connect().defineXML(world.bare_xml("off", devices=CHANNEL))
        self.assertEqual(off.agentSetResponseTimeout(7), 0)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running", origin=libvirt.VIR_FROM_QEMU):
            off.guestInfo()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running", origin=libvirt.VIR_FROM_QEMU):
            off.authorizedSSHKeysGet("root")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running", origin=libvirt.VIR_FROM_DOMAIN):
            off.fsInfo()

    def test_a_guest_without_agent_says_so_at_once(self):
        conn = self.connect()
        plain = conn.createXML(world.bare_xml("plain"))
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured"):
            plain.fsInfo()
        deaf = conn.createXML(world.bare_xml("deaf", devices=CHANNEL))
        begin = time.monotonic()
        with self.refused(libvirt.VIR_ERR_AGENT_UNRESPONSIVE, "QEMU guest agent is not connected"):
            deaf.fsInfo()
        self.assertLess(time.monotonic() - begin, 4)
        deaf.suspend()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            deaf.getTime()
        plain.destroy()
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN):
            plain.hostname(0)


if __name__ == "__main__":
    world.main()
