#include "xml/domain/devices.hpp"

namespace lodge::xml {

void describe(Doc& doc, Devices& d) {
    doc.text_child("emulator", d.emulator, Mark::host);
    doc.list("disk", d.disks, Mark::guest);
    doc.list("controller", d.controllers, Mark::guest);
    doc.list("lease", d.leases);
    doc.list("filesystem", d.filesystems, Mark::guest);
    doc.list("interface", d.interfaces, Mark::guest);
    doc.list("smartcard", d.smartcards, Mark::guest);
    doc.list("serial", d.serials, Mark::guest);
    doc.list("parallel", d.parallels, Mark::guest);
    doc.list("console", d.consoles, Mark::guest);
    doc.list("channel", d.channels, Mark::guest);
    doc.list("input", d.inputs, Mark::guest);
    doc.list("tpm", d.tpms, Mark::guest);
    doc.list("graphics", d.graphics);
    doc.list("sound", d.sounds, Mark::guest);
    doc.list("audio", d.audios);
    doc.list("video", d.videos, Mark::guest);
    doc.list("hostdev", d.hostdevs, Mark::guest);
    doc.list("redirdev", d.redirdevs, Mark::guest);
    doc.child("redirfilter", d.redirfilter, Mark::single | Mark::guest);
    doc.list("hub", d.hubs, Mark::guest);
    doc.list("watchdog", d.watchdogs, Mark::guest);
    doc.child("memballoon", d.memballoon, Mark::single | Mark::guest);
    doc.list("rng", d.rngs, Mark::guest);
    doc.child("nvram", d.nvram, Mark::single);
    doc.list("panic", d.panics, Mark::guest);
    doc.list("shmem", d.shmems, Mark::guest);
    doc.list("memory", d.memories, Mark::guest);
    doc.child("iommu", d.iommu, Mark::single | Mark::guest);
    doc.child("vsock", d.vsock, Mark::single | Mark::guest);
    doc.list("crypto", d.cryptos);
}

} // namespace lodge::xml
