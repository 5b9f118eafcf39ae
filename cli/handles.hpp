// Owners of what libvirt hands out; each gives its reference back when it goes out of scope.
#pragma once
#include "cli/failure.hpp"

#include <cstdlib>
#include <libvirt/libvirt.h>
#include <memory>
#include <vector>

namespace lodge::cli {

template<auto Release> struct Releaser {
    template<class T> void operator()(T* object) const { Release(object); }
};

using Connection = std::unique_ptr<virConnect, Releaser<virConnectClose>>;
using Domain = std::unique_ptr<virDomain, Releaser<virDomainFree>>;
using Snapshot = std::unique_ptr<virDomainSnapshot, Releaser<virDomainSnapshotFree>>;
using Checkpoint = std::unique_ptr<virDomainCheckpoint, Releaser<virDomainCheckpointFree>>;
using Network = std::unique_ptr<virNetwork, Releaser<virNetworkFree>>;
using NetworkPort = std::unique_ptr<virNetworkPort, Releaser<virNetworkPortFree>>;
using Filter = std::unique_ptr<virNWFilter, Releaser<virNWFilterFree>>;
using FilterBinding = std::unique_ptr<virNWFilterBinding, Releaser<virNWFilterBindingFree>>;
using NodeDevice = std::unique_ptr<virNodeDevice, Releaser<virNodeDeviceFree>>;
using Secret = std::unique_ptr<virSecret, Releaser<virSecretFree>>;
using Interface = std::unique_ptr<virInterface, Releaser<virInterfaceFree>>;
using Pool = std::unique_ptr<virStoragePool, Releaser<virStoragePoolFree>>;
using Volume = std::unique_ptr<virStorageVol, Releaser<virStorageVolFree>>;
using Stream = std::unique_ptr<virStream, Releaser<virStreamFree>>;
using Text = std::unique_ptr<char, Releaser<::free>>;

// A list call of libvirt (connection, array out, flags) as a vector of owners.
template<class Owner, class List, class Object>
std::vector<Owner> collect(List list, Object object, unsigned flags, const char* what) {
    typename Owner::pointer* found = nullptr;
    int count = check(list(object, &found, flags), "{}", what);
    std::vector<Owner> out;
    for (int i = 0; i < count; i++) out.emplace_back(found[i]);
    ::free(found);
    return out;
}

inline std::string uuid_of(virDomainPtr domain) {
    char text[VIR_UUID_STRING_BUFLEN] = {};
    check(virDomainGetUUIDString(domain, text), "{}", "failed to get domain UUID");
    return text;
}

} // namespace lodge::cli
