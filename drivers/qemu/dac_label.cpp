#include "drivers/qemu/dac_label.hpp"
#include "drivers/qemu/settings.hpp"
#include <algorithm>
#include <unistd.h>

namespace lodge::drivers::qemu {

static constexpr std::string_view model = "dac";

// "USER:GROUP", each a name or a number, "+64055" being always a number.
static Identity parse_label(const std::string& label) {
    const auto colon = label.find(':');
    if (colon == std::string::npos)
        rpc::fail(Code::invalid_arg, "Failed to parse uid and gid from '{}': <label> of model 'dac' is USER:GROUP", label);
    return identity_named(label.substr(0, colon), label.substr(colon + 1));
}

static bool is_on(const std::optional<xml::YesNo>& relabel) { return !relabel || static_cast<bool>(*relabel); }

std::optional<Identity> settle_dac_label(xml::Domain& domain, const std::optional<Identity>& usual) {
    if (!usual) return usual;
    auto found = std::ranges::find(domain.seclabels, model, &xml::SecLabel::model);
    if (found == domain.seclabels.end()) {
        domain.seclabels.push_back({xml::SecLabelType::dynamic, std::string(model), xml::YesNo{true}, {}, {}, {}});
        found = std::prev(domain.seclabels.end());
    }
    if (found->type == xml::SecLabelType::none) return usual;
    const bool fixed = found->type == xml::SecLabelType::static_;
    const Identity identity = fixed ? parse_label(found->label) : *usual;
    if (!fixed) {
        found->type = xml::SecLabelType::dynamic;
        found->label = fmt::format("+{}:+{}", identity.uid, identity.gid);
    }
    if (is_on(found->relabel)) {
        found->relabel = xml::YesNo{true};
        found->image_label = found->label;
    }
    return identity;
}

bool lends_images(const xml::Domain& domain) {
    const auto found = std::ranges::find(domain.seclabels, model, &xml::SecLabel::model);
    return found == domain.seclabels.end() || is_on(found->relabel);
}

bool lends_source(const std::vector<xml::SourceLabel>& labels, std::optional<Identity>& owner) {
    for (const auto& label : labels) {
        if (!label.model.empty() && label.model != model) continue;
        if (!is_on(label.relabel)) return false;
        if (!label.label.empty()) owner = parse_label(label.label);
    }
    return true;
}

} // namespace lodge::drivers::qemu
