// XDR (RFC 4506) for the wire's types. Encoder and Decoder are driven by the generated field lists, which carry every bound.
// Pure bytes: no sockets. A Decoder never allocates more than the bytes at hand justify, so a lying length costs nothing.
#pragma once
#include "rpc/error.hpp"
#include "rpc/procedure.hpp"
#include "rpc/uuid.hpp"
#include <array>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lodge::rpc {

using Opaque = std::vector<std::uint8_t>;

// A named value of one of seven types; the alternative's place + 1 is the tag on the wire.
struct TypedParam {
    using Value = std::variant<std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, double, bool, std::string>;
    std::string field;
    Value value;
    bool operator==(const TypedParam&) const = default;
};

inline constexpr std::size_t string_max = 4194304; // VIR_NET_MESSAGE_STRING_MAX

// Thrown for bytes that are not a valid encoding; the server answers "Unable to decode message payload".
struct DecodeError : std::exception {
    const char* what() const noexcept override { return "Unable to decode message payload"; }
};

class Encoder;
class Decoder;
void encode(Encoder&, const TypedParam&);
void decode(Decoder&, TypedParam&);
inline void encode(Encoder&, const Nothing&) {}
inline void decode(Decoder&, Nothing&) {}

class Encoder {
  public:
    explicit Encoder(std::string& out)
        : out_(out) {}

    void operator()(std::int32_t v) { word(static_cast<std::uint32_t>(v)); }
    void operator()(std::uint32_t v) { word(v); }
    void operator()(std::uint8_t v) { word(v); }
    void operator()(char v) { word(static_cast<std::uint32_t>(static_cast<int>(v))); }
    void operator()(std::uint16_t v) { word(v); }
    void operator()(std::int64_t v) { (*this)(static_cast<std::uint64_t>(v)); }
    void operator()(std::uint64_t v) { word(static_cast<std::uint32_t>(v >> 32)), word(static_cast<std::uint32_t>(v)); }
    void operator()(double v);
    void operator()(const Uuid& v) { out_.append(reinterpret_cast<const char*>(v.bytes.data()), v.bytes.size()); }
    template<class T>
        requires std::is_class_v<T>
    void operator()(const T& v) {
        encode(*this, v);
    }
    template<class T> void operator()(const std::optional<T>& v) {
        word(v ? 1 : 0);
        if (v) (*this)(*v);
    }

    void bounded(const std::string& v, std::size_t max) { bytes(v.data(), v.size(), max, "string"); }
    void bounded(const Opaque& v, std::size_t max) {
        bytes(reinterpret_cast<const char*>(v.data()), v.size(), max, "opaque data");
    }
    template<class T> void bounded(const std::optional<T>& v, std::size_t max) {
        word(v ? 1 : 0);
        if (v) bounded(*v, max);
    }
    void raw(std::string_view data) { out_.append(data); } // stream packets: no XDR at all
    void chars(const std::string& v, std::size_t max);
    template<std::size_t n> void chars(const std::array<char, n>& v, std::size_t) {
        for (char c : v) (*this)(c);
    }
    template<class T> void list(const std::vector<T>& v, std::size_t max, const char* what) {
        if (v.size() > max) too_many(what, v.size(), max);
        word(static_cast<std::uint32_t>(v.size()));
        for (const auto& item : v) element(item);
    }
    template<class T> void list(const std::optional<std::vector<T>>& v, std::size_t max, const char* what) {
        word(v ? 1 : 0);
        if (v) list(*v, max, what);
    }

  private:
    void element(const std::string& v) { bounded(v, string_max); }
    template<class T> void element(const std::optional<T>& v) {
        word(v ? 1 : 0);
        if (v) element(*v);
    }
    template<class T> void element(const T& v) { (*this)(v); }
    void word(std::uint32_t v) {
        const char b[4] = {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
                           static_cast<char>(v)};
        out_.append(b, 4);
    }
    void bytes(const char* data, std::size_t size, std::size_t max, const char* what);
    [[noreturn]] static void too_many(const char* what, std::size_t size, std::size_t max);

    std::string& out_;
};

class Decoder {
  public:
    explicit Decoder(std::string_view in)
        : in_(in) {}

    void operator()(std::int32_t& v) { v = static_cast<std::int32_t>(word()); }
    void operator()(std::uint32_t& v) { v = word(); }
    void operator()(std::uint8_t& v) { v = static_cast<std::uint8_t>(word()); }
    void operator()(char& v) { v = static_cast<char>(word()); }
    void operator()(std::uint16_t& v) { v = static_cast<std::uint16_t>(word()); }
    void operator()(std::int64_t& v) { v = static_cast<std::int64_t>(hyper()); }
    void operator()(std::uint64_t& v) { v = hyper(); }
    void operator()(double& v);
    void operator()(Uuid& v);
    template<class T>
        requires std::is_class_v<T>
    void operator()(T& v) {
        decode(*this, v);
    }
    template<class T> void operator()(std::optional<T>& v) {
        v.reset();
        if (flag()) (*this)(v.emplace());
    }

    void bounded(std::string& v, std::size_t max) { v = bytes(max); }
    void bounded(Opaque& v, std::size_t max) {
        const auto data = bytes(max);
        v.assign(data.begin(), data.end());
    }
    template<class T> void bounded(std::optional<T>& v, std::size_t max) {
        v.reset();
        if (flag()) bounded(v.emplace(), max);
    }
    void chars(std::string& v, std::size_t max);
    template<std::size_t n> void chars(std::array<char, n>& v, std::size_t) {
        for (char& c : v) (*this)(c);
    }
    template<class T> void list(std::vector<T>& v, std::size_t max, const char*) {
        v.clear();
        const std::size_t size = count(max);
        v.reserve(size);
        for (std::size_t i = 0; i < size; ++i) element(v.emplace_back());
    }
    template<class T> void list(std::optional<std::vector<T>>& v, std::size_t max, const char* what) {
        v.reset();
        if (flag()) list(v.emplace(), max, what);
    }

    std::size_t left() const { return in_.size(); }
    std::string_view rest() const { return in_; }

  private:
    void element(std::string& v) { bounded(v, string_max); }
    template<class T> void element(std::optional<T>& v) {
        v.reset();
        if (flag()) element(v.emplace());
    }
    template<class T> void element(T& v) { (*this)(v); }
    std::uint32_t word();
    std::uint64_t hyper();
    bool flag();
    std::size_t count(std::size_t max);
    std::string_view bytes(std::size_t max);

    std::string_view in_;
};

} // namespace lodge::rpc
