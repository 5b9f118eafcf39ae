#include "drivers/qemu/cpu_names.hpp"

namespace lodge::drivers::qemu {

namespace {

struct Spelling {
    std::string_view map, qemu;
};
constexpr Spelling spellings[] = {
    {"cmp_legacy", "cmp-legacy"},       {"ds_cpl", "ds-cpl"},         {"fxsr_opt", "fxsr-opt"},     {"kvm_pv_eoi", "kvm-pv-eoi"},
    {"kvm_pv_unhalt", "kvm-pv-unhalt"}, {"lahf_lm", "lahf-lm"},       {"nodeid_msr", "nodeid-msr"}, {"pclmuldq", "pclmulqdq"},
    {"perfctr_core", "perfctr-core"},   {"perfctr_nb", "perfctr-nb"}, {"tsc_adjust", "tsc-adjust"},
};

} // namespace

std::string feature_to_qemu(std::string_view name) {
    for (const auto& spelling : spellings)
        if (spelling.map == name) return std::string(spelling.qemu);
    return std::string(name);
}

std::string feature_from_qemu(std::string_view name) {
    for (const auto& spelling : spellings)
        if (spelling.qemu == name) return std::string(spelling.map);
    return std::string(name);
}

} // namespace lodge::drivers::qemu
