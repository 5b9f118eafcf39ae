// CPU models and features by the names that documents use: read from the host's CPU map (/usr/share/libvirt/cpu_map), which the
// client library of libvirt installs. And what this host's own CPU can do, by CPUID. What follows from both is in cpu_model.hpp.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lodge::drivers {

// Bits of CPUID leaves and model-specific registers. Each bit that some feature of the map names has a number of its own.
using CpuBits = std::bitset<1024>;

struct CpuFeature {
    std::string name;
    CpuBits bits; // a feature may need several
    bool migratable = true;
};
struct CpuSignature {
    unsigned family = 0, model = 0;
    std::uint16_t steppings = 0xffff; // a bit each
};
struct CpuModelEntry {
    std::string name, vendor;
    bool for_host = true, for_guest = true; // whether the model may describe a host's, a guest's CPU
    std::vector<CpuSignature> signatures;
    CpuBits bits;
    std::vector<std::string> removed; // features that the model once had: a guest's document says that it has them not
    bool is_made_for(unsigned family, unsigned model, unsigned stepping) const;
};
// One register of the answer to CPUID, or a model-specific register's half, with the numbers of its bits.
struct CpuRegister {
    bool is_msr = false;
    unsigned leaf = 0, subleaf = 0;                      // of a model-specific register: its index
    std::array<std::array<std::int16_t, 32>, 4> numbers; // of the bits of eax, ebx, ecx, edx; -1: no feature names it
};
struct CpuModels {
    std::vector<CpuFeature> features; // in the order in which documents list them
    std::vector<CpuModelEntry> models;
    std::vector<std::pair<std::string, std::string>> vendors; // GenuineIntel, Intel
    std::vector<CpuRegister> registers;

    const CpuModelEntry* model(std::string_view name) const;
    const CpuFeature* feature(std::string_view name) const;
    // The bits that a register's value sets: `part` is 0 for eax, 1 ebx, 2 ecx, 3 edx. What no feature names is left out.
    void take(CpuBits& bits, const CpuRegister& at, std::size_t part, std::uint32_t value) const;
    const CpuRegister* cpuid(unsigned leaf, unsigned subleaf) const;
    // "Intel" of "GenuineIntel"; empty: not in the map.
    std::string vendor_of(std::string_view id) const;
    bool knows_vendor(std::string_view name) const;

    std::map<std::string, std::size_t, std::less<>> model_index, feature_index;
};
// Models of x86, read once. Empty when the host has no map.
const CpuModels& cpu_map(const std::string& folder = "/usr/share/libvirt/cpu_map");

// A CPU by its bits: what CPUID, or an emulator, says of it.
struct CpuFacts {
    std::string vendor; // Intel, AMD
    unsigned family = 0, model = 0, stepping = 0;
    CpuBits bits;
};
const CpuFacts& this_cpu(); // read once

} // namespace lodge::drivers
