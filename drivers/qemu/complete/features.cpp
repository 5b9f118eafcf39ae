#include "drivers/qemu/complete/steps.hpp"

namespace lodge::drivers::qemu {

namespace {

// A feature that is named without a state is on.
void turn_on(std::optional<xml::Switch>& feature) {
    if (feature && !feature->state) feature->state = true;
}

} // namespace

void complete_features(xml::Domain& domain) {
    if (!domain.features) return;
    auto& features = *domain.features;
    for (auto* feature : {&features.hap, &features.pvspinlock, &features.pmu, &features.vmport, &features.vmcoreinfo})
        turn_on(*feature);
    if (features.smm && !features.smm->state) features.smm->state = true;
    if (features.hyperv && !features.hyperv->mode) features.hyperv->mode = xml::HypervMode::custom;
}

} // namespace lodge::drivers::qemu
