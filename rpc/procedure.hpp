// One row of the protocol's table, as the generator writes it from protocol/*.json: what a server must know of a
// procedure before it asks a handler.
#pragma once
#include "rpc/error.hpp"
#include <cstdint>
#include <span>

namespace lodge::rpc {

enum class ReadOnly : std::uint8_t { allowed, denied, conditional };
enum class Stream : std::uint8_t { none, to_client, to_server };

// Stands for "no arguments" and "no result"; nothing on the wire.
struct Nothing {
    bool operator==(const Nothing&) const = default;
};

struct Procedure {
    std::uint32_t number;
    const char* name;     // DOMAIN_LOOKUP_BY_NAME
    const char* api;      // virDomainLookupByName; null for events and internal calls
    const char* function; // the function that refuses unsupported flags, named in that error: qemuDomainGetXMLDesc
    From from;            // the error domain of the driver that serves it
    bool event;           // sent by the daemon, never called
    bool high_priority;
    ReadOnly readonly;             // on a read-only connection
    std::uint32_t readonly_denied; // flags that a read-only connection may not set
    std::int64_t flags;            // flags the driver accepts, -1: not known
    Stream stream;
    const char* acl; // "domain:write,domain:save": checks of an access driver
};

} // namespace lodge::rpc
