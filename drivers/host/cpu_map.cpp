#include "drivers/host/cpu_map.hpp"
#include "rpc/log.hpp"
#include <pugixml.hpp>

namespace lodge::drivers {

bool CpuModelEntry::is_made_for(unsigned its_family, unsigned its_model, unsigned its_stepping) const {
    for (const auto& signature : signatures)
        if (signature.family == its_family && signature.model == its_model && (signature.steppings >> its_stepping & 1))
            return true;
    return false;
}

const CpuModelEntry* CpuModels::model(std::string_view name) const {
    const auto at = model_index.find(name);
    return at == model_index.end() ? nullptr : &models[at->second];
}

const CpuFeature* CpuModels::feature(std::string_view name) const {
    const auto at = feature_index.find(name);
    return at == feature_index.end() ? nullptr : &features[at->second];
}

void CpuModels::take(CpuBits& bits, const CpuRegister& at, std::size_t part, std::uint32_t value) const {
    for (unsigned bit = 0; bit < 32; ++bit)
        if ((value >> bit & 1) && at.numbers[part][bit] >= 0) bits.set(static_cast<std::size_t>(at.numbers[part][bit]));
}

const CpuRegister* CpuModels::cpuid(unsigned leaf, unsigned subleaf) const {
    for (const auto& at : registers)
        if (!at.is_msr && at.leaf == leaf && at.subleaf == subleaf) return &at;
    return nullptr;
}

std::string CpuModels::vendor_of(std::string_view id) const {
    for (const auto& [known, name] : vendors)
        if (known == id) return name;
    return {};
}

bool CpuModels::knows_vendor(std::string_view name) const {
    for (const auto& [id, known] : vendors)
        if (known == name) return true;
    return false;
}

namespace {

unsigned number(const pugi::xml_node& node, const char* attribute) {
    return static_cast<unsigned>(std::strtoul(node.attribute(attribute).value(), nullptr, 0));
}

class Loader {
  public:
    explicit Loader(std::string folder)
        : folder_(std::move(folder)) {}

    CpuModels load() {
        each_file("x86", [&](const pugi::xml_node& root) {
            for (const auto vendor : root.children("vendor"))
                map_.vendors.emplace_back(vendor.attribute("string").value(), vendor.attribute("name").value());
            for (const auto feature : root.children("feature")) read_feature(feature);
            for (const auto model : root.children("model")) read_model(model);
        });
        return std::move(map_);
    }

    template<class F> void each_file(std::string_view wanted, F read) const {
        pugi::xml_document index;
        index.load_file((folder_ + "/index.xml").c_str());
        for (const auto arch : index.child("cpus").children("arch")) {
            if (arch.attribute("name").value() != wanted) continue;
            for (const auto include : arch.children("include")) {
                pugi::xml_document file;
                if (file.load_file((folder_ + "/" + include.attribute("filename").value()).c_str())) read(file.child("cpus"));
            }
        }
    }

  private:
    CpuRegister& register_at(bool is_msr, unsigned leaf, unsigned subleaf) {
        for (auto& known : map_.registers)
            if (known.is_msr == is_msr && known.leaf == leaf && known.subleaf == subleaf) return known;
        auto& fresh = map_.registers.emplace_back();
        fresh.is_msr = is_msr;
        fresh.leaf = leaf;
        fresh.subleaf = subleaf;
        for (auto& part : fresh.numbers) part.fill(-1);
        return fresh;
    }

    void add_bits(CpuBits& bits, CpuRegister& at, std::size_t part, unsigned mask) {
        for (unsigned bit = 0; bit < 32; ++bit) {
            if (!(mask >> bit & 1)) continue;
            auto& its_number = at.numbers[part][bit];
            if (its_number < 0 && used_ == bits.size()) return log::warn("the CPU map names more bits than are understood");
            if (its_number < 0) its_number = static_cast<std::int16_t>(used_++);
            bits.set(static_cast<std::size_t>(its_number));
        }
    }

    void read_feature(const pugi::xml_node& node) {
        CpuFeature feature;
        feature.name = node.attribute("name").value();
        feature.migratable = std::string_view(node.attribute("migratable").value()) != "no";
        static constexpr const char* parts[] = {"eax", "ebx", "ecx", "edx"};
        const auto take = [&](const pugi::xml_node& bits, CpuRegister& at) {
            for (std::size_t part = 0; part < 4; ++part) add_bits(feature.bits, at, part, number(bits, parts[part]));
        };
        for (const auto bits : node.children("cpuid"))
            take(bits, register_at(false, number(bits, "eax_in"), number(bits, "ecx_in")));
        for (const auto bits : node.children("msr")) take(bits, register_at(true, number(bits, "index"), 0));
        map_.feature_index.emplace(feature.name, map_.features.size());
        map_.features.push_back(std::move(feature));
    }

    // "0-3,5"
    static std::uint16_t steppings(std::string_view text) {
        if (text.empty()) return 0xffff;
        std::uint16_t set = 0;
        while (!text.empty()) {
            const auto comma = std::min(text.find(','), text.size());
            const std::string range(text.substr(0, comma));
            const auto dash = range.find('-');
            const auto first = std::strtoul(range.c_str(), nullptr, 10);
            const auto last = dash == std::string::npos ? first : std::strtoul(range.c_str() + dash + 1, nullptr, 10);
            for (auto stepping = first; stepping <= last && stepping < 16; ++stepping)
                set = static_cast<std::uint16_t>(set | 1u << stepping);
            text.remove_prefix(std::min(comma + 1, text.size()));
        }
        return set;
    }

    void read_model(const pugi::xml_node& node) {
        CpuModelEntry model;
        model.name = node.attribute("name").value();
        if (const auto decode = node.child("decode")) {
            model.for_host = std::string_view(decode.attribute("host").value()) == "on";
            model.for_guest = std::string_view(decode.attribute("guest").value()) == "on";
        }
        if (const auto* ancestor = map_.model(node.child("model").attribute("name").value())) {
            model.bits = ancestor->bits;
            model.vendor = ancestor->vendor;
            model.signatures = ancestor->signatures;
        }
        if (const auto vendor = node.child("vendor")) model.vendor = vendor.attribute("name").value();
        if (node.child("signature")) model.signatures.clear();
        for (const auto signature : node.children("signature"))
            model.signatures.push_back(
                {number(signature, "family"), number(signature, "model"), steppings(signature.attribute("stepping").value())});
        for (const auto named : node.children("feature")) {
            const std::string name = named.attribute("name").value();
            if (std::string_view(named.attribute("removed").value()) == "yes")
                model.removed.push_back(name);
            else if (const auto* feature = map_.feature(name))
                model.bits |= feature->bits;
        }
        map_.model_index.emplace(model.name, map_.models.size());
        map_.models.push_back(std::move(model));
    }

    std::string folder_;
    CpuModels map_;
    std::size_t used_ = 0;
};

} // namespace

const CpuModels& cpu_map(const std::string& folder) {
    static const CpuModels map = Loader(folder).load();
    return map;
}

} // namespace lodge::drivers
