// Facts about the machine we run on. Plain reads of /proc and /sys below `root`, so tests bring a tree of their own.
#pragma once
#include "rpc/uuid.hpp"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lodge::drivers {

struct NodeInfo; // driver.hpp

struct HostCpu {
    unsigned id = 0;
    int socket = 0, die = 0, core = 0;
    std::vector<unsigned> siblings; // threads of its core, itself included
};
struct HostPages {
    std::uint64_t size_kib = 0, count = 0;
};
struct HostMemoryCache { // a cache beside a cell's memory
    unsigned level = 0;
    std::uint64_t size_kib = 0;
    unsigned line = 0; // bytes
    std::string associativity, policy;
};
struct HostAccess { // what a cell's processors pay for memory of another
    unsigned initiator = 0, target = 0;
    std::uint64_t read_kib = 0, write_kib = 0;         // per second
    std::uint64_t read_latency = 0, write_latency = 0; // ns
};
struct HostCell {
    unsigned id = 0;
    std::uint64_t memory_kib = 0;
    std::vector<HostPages> pages;
    std::vector<std::pair<unsigned, unsigned>> distances; // cell, value
    std::vector<HostMemoryCache> caches;
    std::vector<HostCpu> cpus;
};
struct HostCache {
    unsigned id = 0, level = 0;
    std::string type; // both, code, data
    std::uint64_t size_kib = 0;
    std::string cpus;
};
struct HostTopology {
    std::vector<HostCell> cells;
    std::vector<HostAccess> accesses;                       // by initiator, then target; empty where the firmware tells nothing
    std::vector<HostCache> caches;                          // last level
    unsigned sockets = 1, dies = 1, cores = 1, threads = 1; // as <topology> says: per host, per socket, per die, per core
};

std::string host_architecture(); // x86_64
std::string host_name();
// The board's UUID as the firmware tells, else one that stays the same for this installation.
rpc::Uuid host_uuid(const std::string& root = "");
NodeInfo node_info(const std::string& root = "");
HostTopology host_topology(const std::string& root = "");
unsigned online_cpus(const std::string& root = "");

} // namespace lodge::drivers
