// Streams to and from the content of a volume. Files cannot be waited for, so reading and writing them is done on the worker
// pool, a few packets ahead of the client at most.
#pragma once
#include "daemon/pools.hpp"
#include "daemon/stream.hpp"

namespace lodge::daemon {

struct VolumeRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0; // 0: to the end
    bool sparse = false;      // holes travel as such

    std::uint64_t end() const { return length > 0 && length < UINT64_MAX - offset ? offset + length : UINT64_MAX; }
};

// Both reply to the call themselves.
Task<> serve_download(ClientPtr client, rpc::Header call, FoundVolume found, VolumeRange range);
Task<> serve_upload(ClientPtr client, rpc::Header call, FoundVolume found, VolumeRange range);

} // namespace lodge::daemon
