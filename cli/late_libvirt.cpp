// The loader behind the trampolines of late_libvirt.sh. Only the executable has it; the tests link libvirt as usual.
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <libvirt/libvirt.h>

extern "C" {
extern const char* const lodge_late_names[];
extern const unsigned lodge_late_count;
extern void* lodge_late_slots[];
virConnectAuthPtr virConnectAuthPtrDefault = nullptr;

void lodge_load_libvirt() {
    void* library = ::dlopen("libvirt.so.0", RTLD_LAZY | RTLD_GLOBAL);
    void* for_qemu = library ? ::dlopen("libvirt-qemu.so.0", RTLD_LAZY | RTLD_GLOBAL) : nullptr; // 10 kB beside libvirt
    const char* missing = nullptr;
    for (unsigned i = 0; library && i < lodge_late_count; i++) {
        lodge_late_slots[i] = ::dlsym(library, lodge_late_names[i]);
        if (!lodge_late_slots[i] && for_qemu) lodge_late_slots[i] = ::dlsym(for_qemu, lodge_late_names[i]);
        if (!lodge_late_slots[i]) missing = lodge_late_names[i];
    }
    auto* auth = library ? static_cast<virConnectAuthPtr*>(::dlsym(library, "virConnectAuthPtrDefault")) : nullptr;
    if (!auth || missing) {
        // as a failing start of a program with a missing library: nothing can be done without it
        std::fprintf(stderr, "error: cannot use libvirt: %s%s\n", missing ? "it lacks " : ::dlerror(), missing ? missing : "");
        std::_Exit(127);
    }
    virConnectAuthPtrDefault = *auth;
}
}
