// Typed parameters of libvirt as text and JSON.
#pragma once
#include "cli/table.hpp"
#include <libvirt/libvirt.h>
#include <span>
#include <string>

namespace lodge::cli {

std::string param_text(const virTypedParameter& param);
Json param_json(const virTypedParameter& param);
Json params_json(std::span<const virTypedParameter> params);

// Owner of an array that libvirt filled.
struct Params {
    virTypedParameterPtr data = nullptr;
    int count = 0;
    Params() = default;
    Params(const Params&) = delete;
    Params& operator=(const Params&) = delete;
    ~Params() { virTypedParamsFree(data, count); }
    std::span<const virTypedParameter> all() const { return {data, static_cast<std::size_t>(count)}; }
};

} // namespace lodge::cli
