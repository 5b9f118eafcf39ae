// <devices>: every kind of device in libvirt's order of output.
#pragma once
#include "xml/domain/audio.hpp"
#include "xml/domain/chardev.hpp"
#include "xml/domain/controller.hpp"
#include "xml/domain/crypto.hpp"
#include "xml/domain/disk.hpp"
#include "xml/domain/filesystem.hpp"
#include "xml/domain/graphics.hpp"
#include "xml/domain/hostdev.hpp"
#include "xml/domain/hub.hpp"
#include "xml/domain/input.hpp"
#include "xml/domain/iommu.hpp"
#include "xml/domain/lease.hpp"
#include "xml/domain/memballoon.hpp"
#include "xml/domain/memory.hpp"
#include "xml/domain/nic.hpp"
#include "xml/domain/nvram.hpp"
#include "xml/domain/panic.hpp"
#include "xml/domain/redirdev.hpp"
#include "xml/domain/rng.hpp"
#include "xml/domain/shmem.hpp"
#include "xml/domain/smartcard.hpp"
#include "xml/domain/sound.hpp"
#include "xml/domain/tpm.hpp"
#include "xml/domain/video.hpp"
#include "xml/domain/vsock.hpp"
#include "xml/domain/watchdog.hpp"

namespace lodge::xml {

struct Devices {
    std::string emulator;
    std::vector<Disk> disks;
    std::vector<Controller> controllers;
    std::vector<Lease> leases;
    std::vector<Filesystem> filesystems;
    std::vector<Nic> interfaces;
    std::vector<Smartcard> smartcards;
    std::vector<Serial> serials;
    std::vector<Parallel> parallels;
    std::vector<Console> consoles;
    std::vector<Channel> channels;
    std::vector<Input> inputs;
    std::vector<Tpm> tpms;
    std::vector<Graphics> graphics;
    std::vector<Sound> sounds;
    std::vector<Audio> audios;
    std::vector<Video> videos;
    std::vector<Hostdev> hostdevs;
    std::vector<Redirdev> redirdevs;
    std::optional<RedirFilter> redirfilter;
    std::vector<Hub> hubs;
    std::vector<Watchdog> watchdogs;
    std::optional<Memballoon> memballoon;
    std::vector<Rng> rngs;
    std::optional<Nvram> nvram;
    std::vector<Panic> panics;
    std::vector<Shmem> shmems;
    std::vector<MemoryDevice> memories;
    std::optional<Iommu> iommu;
    std::optional<Vsock> vsock;
    std::vector<Crypto> cryptos;
};
void describe(Doc&, Devices&);

} // namespace lodge::xml
