#include "cli/typed_params.hpp"
#include <fmt/format.h>

namespace lodge::cli {

Json param_json(const virTypedParameter& param) {
    switch (param.type) {
    case VIR_TYPED_PARAM_INT: return param.value.i;
    case VIR_TYPED_PARAM_UINT: return param.value.ui;
    case VIR_TYPED_PARAM_LLONG: return param.value.l;
    case VIR_TYPED_PARAM_ULLONG: return param.value.ul;
    case VIR_TYPED_PARAM_DOUBLE: return param.value.d;
    case VIR_TYPED_PARAM_BOOLEAN: return param.value.b != 0;
    case VIR_TYPED_PARAM_STRING: return param.value.s ? param.value.s : "";
    default: return nullptr;
    }
}

std::string param_text(const virTypedParameter& param) {
    switch (param.type) {
    case VIR_TYPED_PARAM_BOOLEAN: return param.value.b ? "yes" : "no";
    case VIR_TYPED_PARAM_STRING: return param.value.s ? param.value.s : "";
    case VIR_TYPED_PARAM_DOUBLE: return fmt::format("{:f}", param.value.d);
    default: return param_json(param).dump();
    }
}

Json params_json(std::span<const virTypedParameter> params) {
    Json json = Json::object();
    for (const auto& param : params) json[param.field] = param_json(param);
    return json;
}

} // namespace lodge::cli
