#!/usr/bin/python3
"""CPUs: compared, combined, listed, and settled when a guest starts. What depends on this host's CPU is only compared with itself."""

import re
import xml.etree.ElementTree as ET

import libvirt
import world
from world import virsh

WESTMERE = "<cpu><arch>x86_64</arch><model>Westmere</model><vendor>Intel</vendor></cpu>"
NEHALEM = "<cpu><arch>x86_64</arch><model>Nehalem</model><vendor>Intel</vendor><feature name='aes'/></cpu>"
OPTERON = "<cpu><arch>x86_64</arch><model>Opteron_G3</model><vendor>AMD</vendor></cpu>"


def guest_with(name, cpu, kind="qemu"):
    return world.bare_xml(name, kind=kind, extra=cpu)


class Baseline(world.Case):
    def test_what_two_have_in_common(self):
        conn = self.connect()
        self.assertEqual(
            conn.baselineCPU([WESTMERE, NEHALEM], 0),
            "<cpu mode='custom' match='exact'>\n  <model fallback='allow'>Westmere</model>\n  <vendor>Intel</vendor>\n"
            "  <feature policy='disable' name='pclmuldq'/>\n</cpu>\n"
            if "pclmuldq" in conn.baselineCPU([WESTMERE], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES)
            else conn.baselineCPU([WESTMERE], 0).replace("forbid", "allow"),
        )
        self.assertIn("<model fallback='forbid'>Westmere</model>", conn.baselineCPU([WESTMERE], 0))
        expanded = ET.fromstring(conn.baselineCPU([NEHALEM], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES))
        names = [f.get("name") for f in expanded.findall("feature")]
        self.assertEqual(names, sorted(names))
        self.assertIn("sse4.2", names)
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "CPU vendors do not match"):
            conn.baselineCPU([WESTMERE, OPTERON], 0)
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "Missing CPU architecture"):
            conn.baselineCPU(["<cpu><model>486</model></cpu>"], 0)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Unknown CPU model Bogus"):
            conn.baselineCPU(["<cpu><arch>x86_64</arch><model>Bogus</model></cpu>"], 0)

    def test_hypervisor_baseline_names_a_model_of_qemu(self):
        conn = self.connect()
        models = set(re.findall(r"<model usable='\w+'[^>]*>([^<]+)<", conn.getDomainCapabilities(virttype="qemu")))
        found = ET.fromstring(conn.baselineHypervisorCPU(None, None, None, "qemu", [WESTMERE, NEHALEM], 0))
        self.assertIn(found.findtext("model"), models)
        self.assertEqual(found.find("model").get("fallback"), "forbid")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "the machine 'bogus' is not supported"):
            conn.baselineHypervisorCPU(None, None, "bogus", "qemu", [WESTMERE], 0)

    def test_model_names(self):
        conn = self.connect()
        names = conn.getCPUModelNames("x86_64", 0)
        self.assertEqual(names[0], "486")
        self.assertIn("EPYC-Milan", names)
        self.assertEqual(conn.getCPUModelNames("i686", 0), names)
        self.assertIn("POWER9", conn.getCPUModelNames("ppc64", 0))
        self.assertEqual(conn.getCPUModelNames("s390x", 0), [])
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "cannot find architecture bogus"):
            conn.getCPUModelNames("bogus", 0)


class Compare(world.Case):
    def host(self, conn):
        cpu = ET.fromstring(conn.getCapabilities()).find("host/cpu")
        return cpu, ET.tostring(cpu, encoding="unicode")

    def test_the_host_is_identical_to_itself(self):
        conn = self.connect()
        _, text = self.host(conn)
        self.assertEqual(conn.compareCPU(text, 0), libvirt.VIR_CPU_COMPARE_IDENTICAL)

    def test_less_is_a_superset_and_more_is_refused(self):
        conn = self.connect()
        cpu, _ = self.host(conn)
        vendor = cpu.findtext("vendor")
        self.assertEqual(conn.compareCPU("<cpu match='exact'><model>486</model></cpu>", 0), libvirt.VIR_CPU_COMPARE_SUPERSET)
        strict = "<cpu match='strict'><model>486</model></cpu>"
        self.assertEqual(conn.compareCPU(strict, 0), libvirt.VIR_CPU_COMPARE_INCOMPATIBLE)
        with self.refused(libvirt.VIR_ERR_CPU_INCOMPATIBLE, "Host CPU does not strictly match guest CPU: Extra features: "):
            conn.compareCPU(strict, libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE)
        other = "AMD" if vendor != "AMD" else "Intel"
        foreign = f"<cpu match='exact'><model>486</model><vendor>{other}</vendor></cpu>"
        with self.refused(libvirt.VIR_ERR_CPU_INCOMPATIBLE, f"host CPU vendor does not match required CPU vendor {other}"):
            conn.compareCPU(foreign, libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Unknown CPU feature bogus"):
            conn.compareCPU("<cpu><model>486</model><feature name='bogus'/></cpu>", 0)
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "CPU vendor specified without CPU model"):
            conn.compareCPU("<cpu><vendor>Intel</vendor></cpu>", 0)

    def test_what_a_hypervisor_offers_suits_it(self):
        conn = self.connect()
        offer = ET.fromstring(conn.getDomainCapabilities(virttype="qemu")).find("cpu/mode[@name='host-model']")
        cpu = ET.Element("cpu", mode="custom", match="exact")
        cpu.extend(list(offer))
        same = conn.compareHypervisorCPU(None, None, None, "qemu", ET.tostring(cpu, encoding="unicode"), 0)
        self.assertEqual(same, libvirt.VIR_CPU_COMPARE_IDENTICAL)


class Guests(world.Case):
    def cpu_of(self, dom, flags=0):
        return ET.fromstring(dom.XMLDesc(flags)).find("cpu")

    def test_host_model_is_settled_when_asked_and_when_started(self):
        conn = self.connect()
        dom = conn.defineXML(guest_with("settled", "<cpu mode='host-model'/>"))
        self.assertEqual(self.cpu_of(dom).get("mode"), "host-model")
        settled = self.cpu_of(dom, libvirt.VIR_DOMAIN_XML_UPDATE_CPU)
        offer = ET.fromstring(conn.getDomainCapabilities(virttype="qemu")).find("cpu/mode[@name='host-model']")
        self.assertEqual((settled.get("mode"), settled.get("match")), ("custom", "exact"))
        self.assertEqual(settled.findtext("model"), offer.findtext("model"))
        dom.create()
        self.assertEqual(self.cpu_of(dom).get("mode"), "custom")
        self.assertEqual(self.cpu_of(dom).findtext("model"), offer.findtext("model"))
        self.assertEqual(self.cpu_of(dom, libvirt.VIR_DOMAIN_XML_INACTIVE).get("mode"), "host-model")
        with open(f"/proc/{world.qemu_pid('settled')}/cmdline") as f:
            words = f.read().split("\0")
        self.assertTrue(words[words.index("-cpu") + 1].startswith(offer.findtext("model")))

    def test_optional_features_follow_the_host(self):
        conn = self.connect()
        cpu = (
            "<cpu mode='custom' match='exact'><model>qemu64</model><feature policy='optional' name='sse4.2'/>"
            "<feature policy='optional' name='avx512f'/></cpu>"
        )
        dom = conn.defineXML(guest_with("picky", cpu))
        policies = {f.get("name"): f.get("policy") for f in self.cpu_of(dom, libvirt.VIR_DOMAIN_XML_UPDATE_CPU).findall("feature")}
        self.assertEqual((policies["sse4.2"], policies["avx512f"]), ("require", "disable"))  # TCG has the one, not the other

    def test_modes_and_models_that_cannot_be(self):
        conn = self.connect()
        passed = conn.defineXML(guest_with("passed", "<cpu mode='host-passthrough'/>"))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "CPU mode 'host-passthrough'", "is not supported by hypervisor"):
            passed.create()
        unknown = conn.defineXML(guest_with("unknown", "<cpu mode='custom' match='exact'><model fallback='forbid'>Bogus</model></cpu>"))
        with self.assertRaises(libvirt.libvirtError):
            unknown.create()
        self.assertFalse(unknown.isActive())

    def test_domain_capabilities_list_modes(self):
        text = virsh("domcapabilities", "--virttype", "qemu").out
        modes = {m.get("name"): m.get("supported") for m in ET.fromstring(text).findall("cpu/mode")}
        self.assertEqual(modes, {"host-passthrough": "no", "maximum": "yes", "host-model": "yes", "custom": "yes"})


if __name__ == "__main__":
    world.main()
