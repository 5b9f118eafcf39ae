#!/usr/bin/python3
"""Who changes a guest and who waits for that: the lock and who holds it, jobs that are looked at and aborted, a QEMU that does
not answer any more."""

import contextlib
import os
import signal
import threading
import time

import libvirt
import world
from world import virsh, wait_for


class InBackground(threading.Thread):
    """A call of its own; .error is what it failed with, None when it did not."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.error = None
        self.call = call
        self.start()

    def run(self):
        try:
            self.call()
        except libvirt.libvirtError as error:
            self.error = error

    def ends(self, seconds):
        self.join(seconds * world.PATIENCE)
        return not self.is_alive()


class Jobs(world.Case):
    def start(self, name, **more):
        self.connect().defineXML(world.bare_xml(name, **more))
        dom = self.connect().lookupByName(name)
        dom.create()
        return dom

    def stop(self, name):
        """QEMU stands still until the test is over."""
        pid = world.qemu_pid(name)
        os.kill(pid, signal.SIGSTOP)

        def go_on():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        self.addCleanup(go_on)
        return pid

    def test_the_lock_names_its_holder(self):
        dom = self.start("held")
        self.stop("held")
        holder = InBackground(dom.suspend)
        time.sleep(1)
        other = self.connect().lookupByName("held")
        with self.refused(libvirt.VIR_ERR_OPERATION_TIMEOUT, "cannot acquire state change lock", "held by monitor=remoteDispatchDomainSuspend"):
            other.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "t", None, None, 0)
        self.assertTrue(holder.is_alive())
        self.assertEqual(other.state()[0], libvirt.VIR_DOMAIN_RUNNING)  # looking does not wait
        self.assertEqual(other.name(), "held")

    def test_a_machine_that_does_not_answer_is_seen_and_can_be_ended(self):
        dom = self.start("deaf")
        self.assertEqual(dom.controlInfo()[0], libvirt.VIR_DOMAIN_CONTROL_OK)
        pid = self.stop("deaf")
        waiting = InBackground(dom.suspend)
        other = self.connect().lookupByName("deaf")
        wait_for(lambda: other.controlInfo()[0] in (libvirt.VIR_DOMAIN_CONTROL_OCCUPIED, libvirt.VIR_DOMAIN_CONTROL_JOB), what="a control interface that is occupied")
        wait_for(lambda: other.controlInfo()[2] > 1000, what="its age")
        begun = time.monotonic()
        other.destroy()
        self.assertLess(time.monotonic() - begun, 60)
        self.assertFalse(world.alive(pid))
        self.assertTrue(waiting.ends(10), "who waited for the machine is told")
        self.assertIsNotNone(waiting.error)
        self.assertEqual(other.state(), [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED])

    def test_the_end_of_a_machine_ends_every_wait(self):
        dom = self.start("mortal")
        pid = self.stop("mortal")
        calls = [InBackground(call) for call in (dom.suspend, self.connect().lookupByName("mortal").reset,
                                                 self.connect().lookupByName("mortal").injectNMI)]
        time.sleep(1)
        os.kill(pid, signal.SIGKILL)
        for call in calls:
            self.assertTrue(call.ends(10))
            self.assertIsNotNone(call.error)
        wait_for(lambda: not dom.isActive())
        dom.create()

    def test_nothing_to_abort(self):
        dom = self.start("quiet")
        self.assertEqual(dom.jobInfo()[0], libvirt.VIR_DOMAIN_JOB_NONE)
        self.assertEqual(dom.jobStats(), {"type": libvirt.VIR_DOMAIN_JOB_NONE})
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "no job is active on the domain"):
            dom.abortJob()

    def test_a_finished_job_is_remembered_once_or_for_good(self):
        dom = self.start("done")
        dom.managedSave()
        dom.create()
        completed, keep = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED, libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
        dom.coreDump("/run/tmp/done.core", 0)
        stats = dom.jobStats(completed | keep)
        self.assertEqual(stats["operation"], libvirt.VIR_DOMAIN_JOB_OPERATION_DUMP)
        self.assertIn("memory_total", stats)
        names = ["operation", "time_elapsed", "downtime", "setup_time", "data_total", "data_processed", "data_remaining", "memory_total"]
        self.assertEqual([name for name in stats if name in names], names)
        self.assertNotIn("success", stats)  # that is said of backups only
        self.assertEqual(dom.jobStats(completed)["operation"], libvirt.VIR_DOMAIN_JOB_OPERATION_DUMP)
        self.assertNotIn("operation", dom.jobStats(completed))
        dom.coreDumpWithFormat("/run/tmp/done.core", libvirt.VIR_DOMAIN_CORE_DUMP_FORMAT_RAW, libvirt.VIR_DUMP_MEMORY_ONLY)
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Failed to create file"):
            dom.coreDump("/run/nowhere/done.core", 0)
        self.assertEqual(dom.jobStats(completed), {"type": libvirt.VIR_DOMAIN_JOB_NONE})

    def test_jobs_of_a_guest_that_does_not_run(self):
        self.connect().defineXML(world.bare_xml("idle"))
        dom = self.connect().lookupByName("idle")
        for call in (dom.abortJob, dom.jobStats, dom.jobInfo):
            with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
                call()

    def test_an_agents_patience_outlives_the_daemon(self):
        channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
        dom = self.start("silent", devices=channel)
        dom.agentSetResponseTimeout(1)
        world.daemon.restart(signal.SIGKILL)
        again = self.connect().lookupByName("silent")
        if world.IS_LODGE:
            with open("/run/libvirt/qemu/silent.xml") as f:
                self.assertIn("agentTimeout='1'", f.read())
        begun = time.monotonic()
        with self.assertRaises(libvirt.libvirtError):
            again.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT)
        self.assertLess(time.monotonic() - begun, 25)

    def test_limits_of_a_migration(self):
        dom = self.start("limits")
        dom.migrateSetMaxDowntime(123)
        self.assertEqual(dom.migrateGetMaxDowntime(), 123)
        dom.migrateSetMaxSpeed(7)
        self.assertEqual(dom.migrateGetMaxSpeed(), 7)
        dom.migrateSetMaxSpeed(9, libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY)
        self.assertEqual(dom.migrateGetMaxSpeed(libvirt.VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY), 9)
        dom.migrateSetCompressionCache(1 << 20)
        self.assertEqual(dom.migrateGetCompressionCache(), 1 << 20)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "post-copy can only be started while outgoing migration is in progress"):
            dom.migrateStartPostCopy()
        dom.destroy()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.migrateSetMaxDowntime(1)
        dom.migrateSetMaxSpeed(8)
        self.assertEqual(dom.migrateGetMaxSpeed(), 8)

    def test_what_follows_a_reboot_is_decided_while_it_runs(self):
        dom = self.start("decided")
        both = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
        virsh("set-lifecycle-action", "decided", "reboot", "destroy", "--live", "--config")
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            self.assertIn("<on_reboot>destroy</on_reboot>", dom.XMLDesc(flags))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "'onReboot' set to 'destroy and 'onPoweroff' set to 'reboot'"):
            dom.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_POWEROFF, libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_RESTART, both)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "Lifecycle event 'poweroff' doesn't support 'coredump-destroy' action"):
            dom.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_POWEROFF, libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY, both)
        virsh("qemu-monitor-command", "decided", "--hmp", "system_reset")
        wait_for(lambda: not dom.isActive(), what="the end that a reset is now")

    def test_what_nobody_can_vouch_for_is_told(self):
        import libvirt_qemu

        namespace = "http://libvirt.org/schemas/domain/qemu/1.0"
        words = f"<qemu:commandline xmlns:qemu='{namespace}'><qemu:arg value='-no-shutdown'/></qemu:commandline></domain>"
        dom = self.connect().defineXML(world.bare_xml("odd").replace("</domain>", words))
        self.assertEqual(dom.messages(), [])
        dom.create()
        of_arguments, of_monitor = "tainted: custom configuration parameters specified", "tainted: custom monitor control commands issued"
        self.assertEqual(dom.messages(), [of_arguments])
        libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"query-name"}', 0)
        self.assertEqual(dom.messages(libvirt.VIR_DOMAIN_MESSAGE_TAINTING), [of_arguments, of_monitor])
        self.assertEqual(dom.messages(libvirt.VIR_DOMAIN_MESSAGE_DEPRECATION), [])
        world.daemon.restart()
        dom = self.connect().lookupByName("odd")
        self.assertEqual(dom.messages(), [of_arguments, of_monitor])
        dom.destroy()
        self.assertEqual(dom.messages(), [])

    def test_a_file_goes_along_with_a_command(self):
        import libvirt_qemu

        dom = self.start("files")
        with open("/run/tmp/passed", "wb") as f:
            answer = libvirt_qemu.qemuMonitorCommandWithFiles(dom, '{"execute":"getfd","arguments":{"fdname":"mine"}}', [f.fileno()], 0)
        self.assertIn('"return":{}', answer[0].replace(" ", ""))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "at most 1 fd"):
            libvirt_qemu.qemuMonitorCommandWithFiles(dom, '{"execute":"getfd"}', [0, 1], 0)

    def test_waking_up_who_is_awake(self):
        dom = self.start("awake")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU command 'system_wakeup'"):
            dom.pMWakeup()


if __name__ == "__main__":
    world.main()
