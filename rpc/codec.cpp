#include "rpc/codec.hpp"
#include <bit>

namespace lodge::rpc {

void Encoder::operator()(double v) { (*this)(std::bit_cast<std::uint64_t>(v)); }

void Encoder::bytes(const char* data, std::size_t size, std::size_t max, const char* what) {
    if (size > max) too_many(what, size, max);
    word(static_cast<std::uint32_t>(size));
    out_.append(data, size);
    out_.append((4 - size % 4) % 4, '\0');
}

void Encoder::chars(const std::string& v, std::size_t max) {
    if (v.size() > max) too_many("characters", v.size(), max);
    word(static_cast<std::uint32_t>(v.size()));
    for (char c : v) (*this)(c);
}

void Encoder::too_many(const char* what, std::size_t size, std::size_t max) {
    fail(From::rpc, Code::rpc, "Too many {} '{}' for limit '{}'", what, size, max);
}

std::uint32_t Decoder::word() {
    if (in_.size() < 4) throw DecodeError();
    const auto* b = reinterpret_cast<const unsigned char*>(in_.data());
    in_.remove_prefix(4);
    return static_cast<std::uint32_t>(b[0]) << 24 | static_cast<std::uint32_t>(b[1]) << 16 |
           static_cast<std::uint32_t>(b[2]) << 8 | b[3];
}

std::uint64_t Decoder::hyper() {
    const std::uint64_t high = word();
    return high << 32 | word();
}

void Decoder::operator()(double& v) { v = std::bit_cast<double>(hyper()); }

void Decoder::operator()(Uuid& v) {
    if (in_.size() < v.bytes.size()) throw DecodeError();
    std::copy_n(in_.begin(), v.bytes.size(), v.bytes.begin());
    in_.remove_prefix(v.bytes.size());
}

bool Decoder::flag() {
    const auto v = word();
    if (v > 1) throw DecodeError();
    return v == 1;
}

// Every element takes at least 4 bytes on the wire, so a count above what is left is a lie and is refused before memory is taken.
std::size_t Decoder::count(std::size_t max) {
    const std::size_t size = word();
    if (size > max || size > in_.size() / 4) throw DecodeError();
    return size;
}

std::string_view Decoder::bytes(std::size_t max) {
    const std::size_t size = word();
    const std::size_t padded = (size + 3) / 4 * 4;
    if (size > max || padded > in_.size()) throw DecodeError();
    const auto data = in_.substr(0, size);
    in_.remove_prefix(padded);
    return data;
}

void Decoder::chars(std::string& v, std::size_t max) {
    v.resize(count(max));
    for (char& c : v) (*this)(c);
}

namespace {
template<class F> void visit_tag(std::int32_t tag, TypedParam::Value& value, F&& f) {
    switch (tag) {
    case 1: return f(value.emplace<0>());
    case 2: return f(value.emplace<1>());
    case 3: return f(value.emplace<2>());
    case 4: return f(value.emplace<3>());
    case 5: return f(value.emplace<4>());
    case 6: return f(value.emplace<5>());
    case 7: return f(value.emplace<6>());
    default: throw DecodeError();
    }
}
} // namespace

void encode(Encoder& io, const TypedParam& param) {
    io.bounded(param.field, string_max);
    io(static_cast<std::int32_t>(param.value.index() + 1));
    std::visit(
        [&](const auto& v) {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::string>)
                io.bounded(v, string_max);
            else if constexpr (std::is_same_v<T, bool>)
                io(static_cast<std::int32_t>(v));
            else
                io(v);
        },
        param.value);
}

void decode(Decoder& io, TypedParam& param) {
    io.bounded(param.field, string_max);
    std::int32_t tag = 0;
    io(tag);
    visit_tag(tag, param.value, [&](auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
            io.bounded(v, string_max);
        } else if constexpr (std::is_same_v<T, bool>) {
            std::int32_t word = 0;
            io(word);
            v = word != 0;
        } else {
            io(v);
        }
    });
}

} // namespace lodge::rpc
