#include "drivers/host/cpu_model.hpp"
#include "drivers/host/node.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <bit>

namespace lodge::drivers {

using rpc::Code;
using rpc::From;
using xml::FeaturePolicy;

namespace {

bool contains(const CpuBits& bits, const CpuBits& wanted) { return (bits & wanted) == wanted; }

bool is_of_host(const xml::Cpu& cpu) { return !cpu.arch.empty(); }

const CpuFeature& feature_named(const CpuModels& map, const std::string& name) {
    const auto* feature = map.feature(name);
    if (!feature) rpc::fail(From::cpu, Code::internal_error, "Unknown CPU feature {}", name);
    return *feature;
}

const CpuModelEntry& model_of(const CpuModels& map, const xml::Cpu& cpu) {
    const auto* model = map.model(cpu.model->name);
    if (!model) rpc::fail(From::cpu, Code::internal_error, "Unknown CPU model {}", cpu.model->name);
    return *model;
}

bool has_model(const xml::Cpu& cpu) { return cpu.model && !cpu.model->name.empty(); }

// Features of one policy; with `require` also the model's.
CpuBits bits_with(const CpuModels& map, const xml::Cpu& cpu, FeaturePolicy policy) {
    CpuBits bits;
    if (is_of_host(cpu) && policy != FeaturePolicy::require) return bits;
    if (policy == FeaturePolicy::require && has_model(cpu)) bits = model_of(map, cpu).bits;
    for (const auto& feature : cpu.features)
        if (feature.policy.value_or(FeaturePolicy::require) == policy) bits |= feature_named(map, feature.name).bits;
    return bits;
}

// Appends the features that the bits amount to. Bits that a feature accounts for are not told again by another.
void append_features(const CpuModels& map, xml::Cpu& cpu, CpuBits bits, std::optional<FeaturePolicy> policy) {
    for (const auto& feature : map.features)
        if (contains(bits, feature.bits)) {
            bits &= ~feature.bits;
            set_feature(cpu, feature.name, policy);
        }
}

// A feature that a model lost must be told of, or a guest of an older release would seem to have it.
void disable_removed(xml::Cpu& cpu, const CpuModelEntry& model) {
    for (const auto& name : model.removed)
        if (std::ranges::find(cpu.features, name, &xml::CpuFeature::name) == cpu.features.end())
            cpu.features.push_back({FeaturePolicy::disable, name});
}

// How much a description leaves to say. Each further disabled feature weighs one more than the one before, and only the first
// half of them is counted as such: libvirt's choice of models depends on both.
struct Weight {
    std::size_t total = 0, disabled = 0;
};
Weight weigh(const xml::Cpu& cpu, bool host) {
    if (host) return {cpu.features.size(), 0};
    const auto off = static_cast<std::size_t>(std::ranges::count(cpu.features, FeaturePolicy::disable, &xml::CpuFeature::policy));
    Weight weight;
    const std::size_t counted = (off + 1) / 2;
    for (std::size_t i = 0; i < counted; ++i) weight.disabled += 2 + i;
    weight.total = cpu.features.size() - counted + weight.disabled;
    return weight;
}

// Processors whose transactional memory is broken; microcode does not always hide it.
bool has_broken_tsx(const CpuFacts& facts) {
    return facts.vendor == "Intel" && facts.family == 6 &&
           ((facts.model == 63 && facts.stepping < 4) || facts.model == 60 || facts.model == 69 || facts.model == 70);
}

const CpuOffer* offer_of(const std::vector<CpuOffer>* among, const std::string& name) {
    const auto at = std::ranges::find(*among, name, &CpuOffer::name);
    return at == among->end() ? nullptr : &*at;
}

class Describer {
  public:
    Describer(const CpuModels& map, const CpuFacts& facts, const DescribeOptions& options)
        : map_(map)
        , facts_(facts)
        , options_(options) {}

    // Newest models first.
    xml::Cpu run() {
        for (auto model = map_.models.rbegin(); model != map_.models.rend(); ++model)
            if (consider(*model)) break;
        if (!best_) rpc::fail(From::cpu, Code::internal_error, "Cannot find suitable CPU model for given data");
        return std::move(description_);
    }

  private:
    // True: there can be no better one.
    bool consider(const CpuModelEntry& model) {
        const auto* offer = options_.among ? offer_of(options_.among, model.name) : nullptr;
        if (options_.among && !offer) return false;
        const bool only_wish = options_.preferred.size() == 1 && options_.preferred.front() == model.name;
        if (!facts_.vendor.empty() && !model.vendor.empty() && facts_.vendor != model.vendor) return false;
        if (!(options_.host ? model.for_host : model.for_guest)) return false;
        xml::Cpu candidate = describe(model, offer);
        if (options_.host && std::ranges::count(candidate.features, FeaturePolicy::disable, &xml::CpuFeature::policy))
            return false;
        if (!only_wish && !is_better(model, candidate)) return false;
        best_ = &model;
        description_ = std::move(candidate);
        return only_wish;
    }

    xml::Cpu describe(const CpuModelEntry& model, const CpuOffer* offer) const {
        xml::Cpu cpu;
        cpu.model.emplace().name = model.name;
        const CpuBits more = facts_.bits & ~model.bits;
        CpuBits less = model.bits & ~facts_.bits;
        // The hypervisor's idea of the model may have features that the map's has not.
        if (offer)
            for (const auto& name : offer->blockers)
                if (const auto* feature = map_.feature(name); feature && !contains(more, feature->bits)) less |= feature->bits;
        append_features(map_, cpu, more, FeaturePolicy::require);
        append_features(map_, cpu, less, FeaturePolicy::disable);
        if (!options_.host) disable_removed(cpu, model);
        return cpu;
    }

    bool is_better(const CpuModelEntry& model, const xml::Cpu& candidate) const {
        if (!best_) return true;
        // One that was made for this very CPU beats all that were not.
        const auto made_for_it = [&](const CpuModelEntry& entry) {
            return entry.is_made_for(facts_.family, facts_.model, facts_.stepping);
        };
        if (facts_.family || facts_.model || facts_.stepping)
            if (const bool fits = made_for_it(model); fits != made_for_it(*best_)) return fits;
        const Weight now = weigh(description_, options_.host), then = weigh(candidate, options_.host);
        if (then.total < now.total || (then.total == now.total && then.disabled < now.disabled)) return true;
        return then.disabled < now.disabled && std::ranges::find(options_.preferred, model.name) != options_.preferred.end();
    }

    const CpuModels& map_;
    const CpuFacts& facts_;
    const DescribeOptions& options_;
    const CpuModelEntry* best_ = nullptr;
    xml::Cpu description_;
};

} // namespace

xml::Cpu describe_cpu(const CpuModels& map, CpuFacts facts, const DescribeOptions& options) {
    if (has_broken_tsx(facts))
        for (const char* name : {"hle", "rtm"})
            if (const auto* feature = map.feature(name)) facts.bits &= ~feature->bits;
    xml::Cpu cpu = Describer(map, facts, options).run();
    cpu.vendor = facts.vendor;
    if (options.host)
        for (auto& feature : cpu.features) feature.policy.reset();
    return cpu;
}

CpuBits bits_of(const CpuModels& map, const xml::Cpu& cpu) {
    CpuBits bits;
    if (has_model(cpu)) bits = model_of(map, cpu).bits;
    for (const auto& named : cpu.features) {
        const auto policy = named.policy.value_or(FeaturePolicy::require);
        if (policy == FeaturePolicy::optional) continue;
        const auto& feature = feature_named(map, named.name);
        if (policy == FeaturePolicy::require || policy == FeaturePolicy::force)
            bits |= feature.bits;
        else
            bits &= ~feature.bits;
    }
    return bits;
}

bool has_feature(const CpuModels& map, const xml::Cpu& cpu, std::string_view name) {
    const auto* feature = map.feature(name);
    return feature && contains(bits_of(map, cpu), feature->bits);
}

std::vector<std::string> feature_names(const CpuModels& map, const CpuBits& bits) {
    std::vector<std::string> names;
    for (const auto& feature : map.features)
        if (contains(bits, feature.bits)) names.push_back(feature.name);
    return names;
}

CpuVerdict compare_cpus(const CpuModels& map, const xml::Cpu& host, const xml::Cpu& cpu) {
    if (!has_model(host)) return {CpuComparison::incompatible, "unknown host CPU"};
    if (is_of_host(cpu) && cpu.arch != "x86_64" && cpu.arch != "i686")
        return {CpuComparison::incompatible, fmt::format("CPU arch {} does not match host arch", cpu.arch)};
    if (!cpu.vendor.empty() && cpu.vendor != host.vendor)
        return {CpuComparison::incompatible, fmt::format("host CPU vendor does not match required CPU vendor {}", cpu.vendor)};
    const auto refuse = [&](const char* what, const CpuBits& bits) {
        return CpuVerdict{CpuComparison::incompatible, fmt::format("{}: {}", what, fmt::join(feature_names(map, bits), ", "))};
    };
    const CpuBits has = bits_of(map, host);
    const CpuBits force = bits_with(map, cpu, FeaturePolicy::force), optional = bits_with(map, cpu, FeaturePolicy::optional),
                  disable = bits_with(map, cpu, FeaturePolicy::disable);
    CpuBits require = bits_with(map, cpu, FeaturePolicy::require);
    if (const CpuBits forbidden = bits_with(map, cpu, FeaturePolicy::forbid) & has; forbidden.any())
        return refuse("Host CPU provides forbidden features", forbidden);
    // What the model brings along may be forced, made optional or disabled by name.
    require &= ~(force | optional | disable);
    if (const CpuBits missing = require & ~has; missing.any())
        return refuse("Host CPU does not provide required features", missing);
    const CpuBits extra = has & ~(optional | require | disable | force);
    if (extra.none()) return {CpuComparison::identical, {}};
    if (!is_of_host(cpu) && cpu.match == xml::CpuMatch::strict)
        return refuse("Host CPU does not strictly match guest CPU: Extra features", extra);
    return {CpuComparison::superset, {}};
}

namespace {

// The vendor that all of them agree on; each may leave it to its model.
class VendorOfAll {
  public:
    explicit VendorOfAll(const CpuModels& map)
        : map_(map) {}

    void add_first(const xml::Cpu& cpu) {
        if (cpu.vendor.empty())
            told_ = false;
        else
            take(cpu.vendor);
    }
    void add(const xml::Cpu& cpu) {
        const std::string of_model = has_model(cpu) ? model_of(map_, cpu).vendor : "";
        if (!cpu.vendor.empty() && !of_model.empty() && cpu.vendor != of_model)
            rpc::fail(From::cpu, Code::operation_failed, "CPU vendor {} of model {} differs from vendor {}", of_model,
                      cpu.model->name, cpu.vendor);
        if (cpu.vendor.empty()) told_ = false;
        const std::string vendor = cpu.vendor.empty() ? of_model : cpu.vendor;
        if (vendor.empty()) return;
        if (vendor_.empty()) return take(vendor);
        if (vendor != vendor_) rpc::fail(From::cpu, Code::operation_failed, "CPU vendors do not match");
    }
    const std::string& name() const { return vendor_; }
    bool is_told_by_all() const { return told_; }

  private:
    void take(const std::string& vendor) {
        if (!map_.knows_vendor(vendor)) rpc::fail(From::cpu, Code::operation_failed, "Unknown CPU vendor {}", vendor);
        vendor_ = vendor;
    }
    const CpuModels& map_;
    std::string vendor_;
    bool told_ = true;
};

void check_baseline(const std::vector<xml::Cpu>& cpus) {
    if (cpus.empty()) rpc::fail(From::cpu, Code::invalid_arg, "no CPUs given");
    for (std::size_t i = 0; i < cpus.size(); ++i)
        if (!has_model(cpus[i])) rpc::fail(From::cpu, Code::invalid_arg, "no CPU model specified at index {}", i);
}

} // namespace

xml::Cpu baseline_cpu(const CpuModels& map, const std::vector<xml::Cpu>& cpus, const BaselineOptions& options) {
    check_baseline(cpus);
    CpuFacts common;
    common.bits = bits_of(map, cpus.front());
    VendorOfAll vendor(map);
    vendor.add_first(cpus.front());
    std::vector<std::string> models{cpus.front().model->name};
    for (std::size_t i = 1; i < cpus.size(); ++i) {
        if (std::ranges::find(models, cpus[i].model->name) == models.end()) models.push_back(cpus[i].model->name);
        const CpuBits bits = bits_of(map, cpus[i]);
        vendor.add(cpus[i]);
        common.bits &= bits;
    }
    if (options.features) {
        CpuBits known;
        for (const auto& name : *options.features)
            if (const auto* feature = map.feature(name)) known |= feature->bits;
        common.bits &= known;
    }
    if (common.bits.none()) rpc::fail(From::cpu, Code::operation_failed, "CPUs are incompatible");
    common.vendor = vendor.name();
    xml::Cpu cpu = describe_cpu(map, common, {.among = options.among, .preferred = models});
    if (options.migratable)
        std::erase_if(cpu.features, [&](const auto& feature) { return !feature_named(map, feature.name).migratable; });
    cpu.mode = xml::CpuMode::custom;
    cpu.match = xml::CpuMatch::exact;
    cpu.model->fallback =
        models.size() == 1 && cpu.model->name == models.front() ? xml::CpuFallback::forbid : xml::CpuFallback::allow;
    if (!vendor.is_told_by_all()) cpu.vendor.clear();
    return cpu;
}

void set_feature(xml::Cpu& cpu, const std::string& name, std::optional<FeaturePolicy> policy) {
    const auto at = std::ranges::find(cpu.features, name, &xml::CpuFeature::name);
    if (at == cpu.features.end())
        cpu.features.push_back({policy, name});
    else
        at->policy = policy;
}

void expand_features(const CpuModels& map, xml::Cpu& cpu) {
    const bool host = is_of_host(cpu);
    const auto& model = model_of(map, cpu);
    const auto named = std::exchange(cpu.features, {});
    append_features(map, cpu, model.bits, host ? std::nullopt : std::optional(FeaturePolicy::require));
    for (const auto& feature : named)
        if (host || feature.policy == FeaturePolicy::require || feature.policy == FeaturePolicy::disable)
            set_feature(cpu, feature.name, feature.policy);
    if (!host) disable_removed(cpu, model);
    std::ranges::sort(cpu.features, {}, &xml::CpuFeature::name);
}

namespace {

// host-model and match='minimum': the host's CPU with what the document says beyond it.
void take_hosts_model(xml::Cpu& cpu, const xml::Cpu& host) {
    const auto named = std::exchange(cpu.features, host.features);
    for (const auto& feature : named) set_feature(cpu, feature.name, feature.policy);
    if (!cpu.model) cpu.model.emplace();
    cpu.model->name = host.model->name;
    if (!cpu.model->fallback) cpu.model->fallback = xml::CpuFallback::allow;
    if (cpu.mode != xml::CpuMode::custom) cpu.vendor = host.vendor;
    cpu.mode = xml::CpuMode::custom;
    cpu.match = xml::CpuMatch::exact;
}

bool depends_on_host(const xml::Cpu& cpu) {
    return cpu.mode == xml::CpuMode::host_model || cpu.match == xml::CpuMatch::minimum ||
           std::ranges::count(cpu.features, FeaturePolicy::optional, &xml::CpuFeature::policy) > 0;
}

} // namespace

void settle_cpu(const CpuModels& map, xml::Cpu& cpu, const xml::Cpu* host) {
    if (cpu.mode == xml::CpuMode::host_passthrough || cpu.mode == xml::CpuMode::maximum) return;
    if (depends_on_host(cpu)) {
        if (!host) rpc::fail(From::cpu, Code::config_unsupported, "unknown host CPU model");
        const CpuBits has = bits_of(map, *host);
        for (auto& feature : cpu.features)
            if (feature.policy == FeaturePolicy::optional)
                feature.policy =
                    contains(has, feature_named(map, feature.name).bits) ? FeaturePolicy::require : FeaturePolicy::disable;
        if (cpu.mode == xml::CpuMode::host_model || cpu.match == xml::CpuMatch::minimum) take_hosts_model(cpu, *host);
    }
    disable_removed(cpu, model_of(map, cpu));
}

void translate_cpu(const CpuModels& map, xml::Cpu& cpu, const std::vector<CpuOffer>& among) {
    if (cpu.mode != xml::CpuMode::custom || offer_of(&among, cpu.model->name)) return;
    if (cpu.model->fallback == xml::CpuFallback::forbid)
        rpc::fail(From::cpu, Code::config_unsupported, "CPU model {} is not supported by hypervisor", cpu.model->name);
    const auto& model = model_of(map, cpu);
    CpuFacts facts{model.vendor, 0, 0, 0, bits_of(map, cpu)};
    if (!model.signatures.empty()) {
        const auto& signature = model.signatures.front();
        facts.family = signature.family;
        facts.model = signature.model;
        facts.stepping = static_cast<unsigned>(std::countr_zero(signature.steppings));
    }
    xml::Cpu other = describe_cpu(map, facts, {.among = &among});
    for (const auto& feature : cpu.features) set_feature(other, feature.name, feature.policy);
    cpu.model->name = other.model->name;
    cpu.features = std::move(other.features);
}

void take_real_features(const CpuModels& map, xml::Cpu& cpu, const CpuBits& enabled, const CpuBits& refused) {
    const bool full = cpu.check == xml::CpuCheck::full;
    if (cpu.mode != xml::CpuMode::custom && !full) return;
    const bool passed = cpu.mode == xml::CpuMode::host_passthrough || cpu.mode == xml::CpuMode::maximum;
    const CpuBits wanted = bits_of(map, cpu), unwanted = bits_with(map, cpu, FeaturePolicy::disable);
    std::vector<std::string> added, lost;
    for (const auto& feature : map.features) {
        const bool required = contains(wanted, feature.bits);
        const bool forbidden = !required && (!passed || contains(unwanted, feature.bits));
        if (forbidden && contains(enabled, feature.bits)) {
            added.push_back(feature.name);
            if (!full) set_feature(cpu, feature.name, FeaturePolicy::require);
        }
        if (contains(refused, feature.bits) || (required && !contains(enabled, feature.bits))) {
            lost.push_back(feature.name);
            if (!full) set_feature(cpu, feature.name, FeaturePolicy::disable);
        }
    }
    if (full && !(added.empty() && lost.empty()))
        rpc::fail(From::cpu, Code::operation_failed, "guest CPU doesn't match specification: {}{}{}",
                  added.empty() ? "" : fmt::format("extra features: {}", fmt::join(added, ",")),
                  added.empty() || lost.empty() ? "" : ", ",
                  lost.empty() ? "" : fmt::format("missing features: {}", fmt::join(lost, ",")));
    if (has_model(cpu)) disable_removed(cpu, model_of(map, cpu));
    cpu.check = xml::CpuCheck::full;
}

bool is_hosts_own_feature(std::string_view name) {
    return name == "cmt" || name == "mbm_total" || name == "mbm_local" || name == "osxsave" || name == "ospke";
}

void drop_hosts_own_features(xml::Cpu& cpu) {
    std::erase_if(cpu.features, [](const auto& feature) { return is_hosts_own_feature(feature.name); });
}

xml::Cpu host_cpu() {
    static const xml::Cpu cpu = [] {
        xml::Cpu host;
        try {
            host = describe_cpu(cpu_map(), this_cpu(), {.host = true});
        } catch (const rpc::Error&) {
            host = {}; // a CPU that the map knows nothing like
        }
        host.arch = host_architecture();
        return host;
    }();
    return cpu;
}

} // namespace lodge::drivers
