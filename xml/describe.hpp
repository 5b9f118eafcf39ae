// The vocabulary in which a document describes itself. Every struct of a document has ONE function
//     void describe(Doc& doc, DiskTarget& target);
// that names its attributes and children in the order of output. Reader, Writer, Differ, Outline and Random are visitors of that
// function, so an attribute is one field and one line, and nothing else in the house lists it again.
//
// A description must show every visitor the same shape: it does not ask which visitor it talks to. Where a document's shape
// depends on a discriminator (type='file'), describe the discriminator first and ask `if (doc.when(source.type == file))`. What
// only makes sense after reading (units, cross checks) stands in `if (doc.reading())` at the end.
#pragma once
#include "rpc/error.hpp"
#include "rpc/uuid.hpp"
#include <charconv>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lodge::xml {

using rpc::Code;
using rpc::From;
using Random = std::mt19937_64;

// How a fact behaves beyond being written and read. Combine with |.
enum class Mark : unsigned {
    none = 0,
    required = 1,   // absence is an error when reading; a text or a group is written even when it is empty
    secret = 2,     // written only when secrets are asked for (VIR_DOMAIN_XML_SECURE)
    live = 4,       // belongs to the running object: neither written nor read for an inactive document
    host = 8,       // the host's side of a device, with all that stands in it: never what the guest sees
    private_ = 16,  // only in status files
    positive = 32,  // refused are zero and an enumeration's first word ("default")
    single = 64,    // a second element of that name is refused; others after the first are ignored
    guest = 128,    // what the guest sees and must not change under it; of a child: all that stands in it; of a list: how many
    recorded = 256, // kept by the daemon: read from its files and from redefinitions, ignored in a request
    document = 512, // a document inside another: declares its XML namespaces itself
    // How a number is spelled; without one of these it is decimal, and "0x10" is none.
    any_base = 1024, // as in C: 0x… is hexadecimal, 0… octal
    hex = 2048,      // hexadecimal, with or without 0x
    octal = 4096,
    wraps = 8192,         // "-1" stands for the greatest unsigned number
    natural = 16384,      // no more than the greatest int
    joined = 32768,       // several elements of that name are read as one
    filled = 65536,       // of a child: not written when there is nothing in it
    one_kind = 131072,    // of choices: those of other names than the first are ignored
    unless_zero = 262144, // zero says the same as absence
    blank = 524288,       // an empty attribute says the same as absence
};
constexpr Mark operator|(Mark a, Mark b) { return static_cast<Mark>(static_cast<unsigned>(a) | static_cast<unsigned>(b)); }
constexpr bool has(Mark set, Mark one) { return (static_cast<unsigned>(set) & static_cast<unsigned>(one)) != 0; }

// Switches as documents spell them.
struct OnOff {
    bool value = false;
    OnOff() = default;
    OnOff(bool v)
        : value(v) {}
    operator bool() const { return value; }
};
struct YesNo {
    bool value = false;
    YesNo() = default;
    YesNo(bool v)
        : value(v) {}
    operator bool() const { return value; }
};
// As YesNo, but all that is not "yes" is "no": a few attributes take any word.
struct YesOrOther : YesNo {
    using YesNo::YesNo;
};
// A number written in hexadecimal with "0x" and at least `digits` digits (PCI addresses); read in any base. `Widest` says what
// it must fit into.
template<unsigned digits, class Widest = std::uint32_t> struct Hex {
    std::uint64_t value = 0;
    Hex() = default;
    Hex(std::uint64_t v)
        : value(v) {}
    operator std::uint64_t() const { return value; }
    bool operator==(const Hex&) const = default;
};

// Traits<T>: how a scalar is spelled. Enumerations only declare their words beside themselves, in enumerator order:
//     inline std::span<const std::string_view> enum_words(DiskBus) { static constexpr std::string_view w[] = {"ide", "scsi"};
//     return w; }
template<class T, class = void> struct Traits;

// A scalar with its type erased: what visitors work on.
struct ScalarOps {
    bool (*present)(const void*); // false: not written, counts as absent
    bool is_text;                 // a string, which may be there and empty
    void (*clear)(void*);
    bool (*parse)(void*, std::string_view, Mark); // false: not a value of this type
    void (*format)(const void*, std::string& out);
    void (*random)(void*, Random&);
    const char* expected; // what a refusal adds: "Expected integer value"; empty: nothing
};
struct Scalar {
    void* value;
    const ScalarOps* ops;
};
template<class T> Scalar scalar(T& value);

// Elements of several names in one list: what an item is called.
struct KindOps {
    std::span<const std::string_view> (*names)();
    std::size_t (*get)(const void*);
    void (*set)(void*, std::size_t);
};

class Doc;

// What is to be done inside something; lives no longer than the call that it is handed to.
struct Body {
    void* function;
    void (*call)(void*);
    template<class F> explicit Body(F& f)
        : function(&f)
        , call([](void* body) { (*static_cast<F*>(body))(); }) {}
    void operator()() const { call(function); }
};

// A struct that may be absent (optional, unique_ptr) or is always there.
struct SlotOps {
    bool always; // a plain struct: its element is written when anything stands in it
    bool (*present)(const void*);
    void* (*get)(void*);     // the struct; only when present
    void* (*emplace)(void*); // makes it present, empty
    void (*clear)(void*);
    void (*describe)(Doc&, void* item);
};
struct Slot {
    void* slot;
    const SlotOps* ops;
};
struct ListOps {
    std::size_t (*size)(const void*);
    void* (*at)(void*, std::size_t);
    void* (*append)(void*);
    void (*clear)(void*);
    void (*describe)(Doc&, void* item); // null: a list of scalars, see item_ops
    const ScalarOps* (*item_ops)();     // null for structs
};
struct List {
    void* list;
    const ListOps* ops;
};

class Doc {
  public:
    virtual ~Doc() = default;

    // name='value' of the current element. Strings are absent when empty, optionals when disengaged; other scalars are always
    // written.
    template<class T> void attribute(const char* name, T& value, Mark marks = Mark::none) {
        on_attribute(name, scalar(value), marks);
    }
    template<class T> void required(const char* name, T& value, Mark marks = Mark::none) {
        on_attribute(name, scalar(value), marks | Mark::required);
    }
    // The text of the current element.
    template<class T> void text(T& value, Mark marks = Mark::none) { on_text(scalar(value), marks); }
    // <name>value</name>
    template<class T> void text_child(const char* element, T& value, Mark marks = Mark::none) {
        on_text_child(element, scalar(value), marks);
    }
    // <name/>: true when the element is there.
    void flag(const char* element, bool& value, Mark marks = Mark::none) { on_flag(element, value, marks); }
    // A struct's element; `value` is the struct, an optional or a unique_ptr of it.
    template<class T> void child(const char* element, T& value, Mark marks = Mark::none);
    // Repeated elements, of structs or of scalars' texts.
    template<class T> void list(const char* element, std::vector<T>& values, Mark marks = Mark::none);
    // Repeated elements of several names, in the order of the document. An item has a member `kind`, an enumeration whose words
    // are the names.
    template<class T> void choices(std::vector<T>& values, Mark marks = Mark::none);
    // The current element is written as <x …> and </x> on two lines even when nothing stands in it: libvirt does so for some, and
    // programs compare texts. To be said after its attributes.
    virtual void has_end_tag() {}
    // <element> around what `body` describes, into the same struct; not written when empty.
    template<class F> void group(const char* element, F body, Mark marks = Mark::none) { on_group(element, Body(body), marks); }
    // A subtree kept as text (metadata), the element itself included, printed as libxml2 does from column 0. Empty: absent.
    void raw(const char* element, std::string& subtree, Mark marks = Mark::none) { on_raw(element, subtree, marks); }

    // What `body` describes is all that the current element may have inside: `text` refuses the first other element, with its
    // name for {}.
    template<class F> void only(Code code, const char* text, F body) {
        begin_only();
        body();
        end_only(code, text);
    }

    // Of several broken parts of the current element, told is the one whose path stands first here, not the one described first;
    // parts that are not named come last. Paths lead down from the element: "os/type", "@type", "devices/disk". To be said before
    // the parts are described; the names must outlive the reading.
    virtual void read_in_order(std::span<const std::string_view>) {}
    // Runs `body` once what it looks at has been read; what it refuses is that part's fault, see read_in_order().
    template<class F> void check(const char* part, F body) { on_check(part, Body(body)); }

    // Asks whether a part applies; visitors that need every name (Outline) always get true.
    virtual bool when(bool applies) { return applies; }
    virtual bool reading() const { return false; }
    // True when writing or reading the document of a running object (see Mark::live).
    virtual bool live() const { return true; }
    // Refuses the value just read: throws with the element's name and line added to the text.
    [[noreturn]] virtual void refuse(Code code, const std::string& text);

  protected:
    virtual void on_attribute(const char* name, Scalar value, Mark marks) = 0;
    virtual void on_text(Scalar value, Mark marks) = 0;
    virtual void on_text_child(const char* element, Scalar value, Mark marks) = 0;
    virtual void on_flag(const char* element, bool& value, Mark marks) = 0;
    virtual void on_child(const char* element, Slot slot, Mark marks) = 0;
    virtual void on_list(const char* element, List list, Mark marks) = 0;
    virtual void on_choices(List list, const KindOps& kinds, Mark marks) = 0;
    virtual void on_raw(const char* element, std::string& subtree, Mark marks) = 0;
    virtual void on_group(const char* element, Body body, Mark marks) {
        if (!enter(element, marks)) return;
        body();
        leave();
    }
    virtual void on_check(const char*, Body) {}
    virtual bool enter(const char* element, Mark marks) = 0;
    virtual void leave() = 0;
    virtual void begin_only() {}
    virtual void end_only(Code, const char*) {}
};

// ---- reading and writing whole documents (reader.cpp, writer.cpp, …) ----

struct ReadOptions {
    bool live = false;     // keep Mark::live facts (status files, redefinition of running objects)
    bool private_ = false; // keep Mark::private_ facts (status files)
    bool recorded = false; // keep Mark::recorded facts (redefinitions)
    bool checked = false;  // what it says has been checked before: only spelling counts
    From from = From::xml; // error domain of what is wrong in the document
    std::string where{};   // "/etc/libvirt/qemu/x.xml": named in errors; empty: "(domain_definition)" or what the root says
};
struct WriteOptions {
    bool live = true;
    bool secret = false;
    bool private_ = false;
    unsigned indent = 0; // blanks before the root element
};

void read_document(std::string_view text, const char* root, Slot into, const ReadOptions& options);
std::string write_document(const char* root, Slot from, const WriteOptions& options);
// One difference per line of the result, as "path: old -> new"; facts marked `ignore` do not count.
std::vector<std::string> compare_documents(const char* root, Slot a, Slot b, Mark ignore);
// The facts marked Mark::guest by their paths, "domain/devices/disk[1]/target/@bus"; "present" for elements and items of lists.
using GuestView = std::map<std::string, std::string>;
GuestView guest_view(const char* root, Slot of);
void random_document(Slot into, Random& random);
// Every path that the description knows: "devices/disk/@type".
std::vector<std::string> outline_document(const char* root, Slot of);

template<class T> Slot slot_of(T& value);

template<class T> T parse(std::string_view text, const char* root, const ReadOptions& options = {}) {
    T value{};
    read_document(text, root, slot_of(value), options);
    return value;
}
// The visitors behind these never change the value; describe() takes it as T& because readers do.
template<class T> std::string format(const T& value, const char* root, const WriteOptions& options = {}) {
    return write_document(root, slot_of(const_cast<T&>(value)), options);
}
template<class T>
std::vector<std::string> compare(const T& a, const T& b, const char* root, Mark ignore = Mark::host | Mark::live) {
    return compare_documents(root, slot_of(const_cast<T&>(a)), slot_of(const_cast<T&>(b)), ignore);
}
template<class T> T random_value(Random& random) {
    T value{};
    random_document(slot_of(value), random);
    return value;
}
template<class T> std::vector<std::string> outline(const char* root) {
    T value{};
    return outline_document(root, slot_of(value));
}

// ---- traits ----

std::string random_text(Random&);
// As C's strtoull and strtoll do, to the end of the text: blanks and a sign may stand before the digits. The base is 10, or as
// `marks` say. A negative number is no unsigned one, unless it `wraps`.
bool parse_unsigned(std::string_view text, std::uint64_t& value, Mark marks = Mark::none);
bool parse_signed(std::string_view text, std::int64_t& value, Mark marks = Mark::none);
bool parse_word(std::string_view text, std::uint32_t& value, Mark marks); // 32 bits, in which it wraps
bool parse_double(std::string_view text, double& value);
std::string_view trim(std::string_view text);

template<> struct Traits<std::string> {
    static bool present(const std::string& v) { return !v.empty(); }
    static bool parse(std::string& v, std::string_view text) { return v = text, true; }
    static void format(const std::string& v, std::string& out) { out += v; }
    static void random(std::string& v, Random& r) { v = random_text(r); }
};
template<class T> struct Traits<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> {
    static bool present(const T&) { return true; }
    static bool parse(T& v, std::string_view text, Mark marks = Mark::none) {
        if constexpr (std::is_signed_v<T>) {
            std::int64_t wide;
            if (!parse_signed(text, wide, marks)) return false;
            v = static_cast<T>(wide);
            return wide == static_cast<std::int64_t>(v);
        } else if constexpr (sizeof(T) == sizeof(std::uint64_t)) {
            std::uint64_t wide;
            return parse_unsigned(text, wide, marks) && (v = wide, true);
        } else {
            std::uint32_t wide;
            if (!parse_word(text, wide, marks)) return false;
            v = static_cast<T>(wide);
            return wide == static_cast<std::uint32_t>(v) && !(has(marks, Mark::natural) && wide > INT32_MAX);
        }
    }
    static void format(const T& v, std::string& out) {
        char text[24];
        out.append(text, std::to_chars(text, text + sizeof text, v).ptr);
    }
    static void random(T& v, Random& r) { v = static_cast<T>(1 + r() % 119); }
    static constexpr const char* expected =
        std::is_signed_v<T> ? "Expected integer value" : "Expected non-negative integer value";
};
template<> struct Traits<double> {
    static bool present(double) { return true; }
    static bool parse(double& v, std::string_view text) { return parse_double(text, v); }
    static void format(double v, std::string& out) { out += fmt::format("{}", v); }
    static void random(double& v, Random& r) { v = static_cast<double>(r() % 1000) / 4; }
};
template<> struct Traits<OnOff> {
    static bool present(OnOff) { return true; }
    static bool parse(OnOff& v, std::string_view text) { return v.value = text == "on", text == "on" || text == "off"; }
    static void format(OnOff v, std::string& out) { out += v.value ? "on" : "off"; }
    static void random(OnOff& v, Random& r) { v.value = r() & 1; }
};
template<> struct Traits<YesNo> {
    static bool present(YesNo) { return true; }
    static bool parse(YesNo& v, std::string_view text) { return v.value = text == "yes", text == "yes" || text == "no"; }
    static void format(YesNo v, std::string& out) { out += v.value ? "yes" : "no"; }
    static void random(YesNo& v, Random& r) { v.value = r() & 1; }
};
template<> struct Traits<YesOrOther> {
    static bool present(YesOrOther) { return true; }
    static bool parse(YesOrOther& v, std::string_view text) { return v.value = text == "yes", true; }
    static void format(YesOrOther v, std::string& out) { Traits<YesNo>::format(v, out); }
    static void random(YesOrOther& v, Random& r) { Traits<YesNo>::random(v, r); }
};
template<unsigned digits, class Widest> struct Traits<Hex<digits, Widest>> {
    using Number = Hex<digits, Widest>;
    static bool present(const Number&) { return true; }
    static bool parse(Number& v, std::string_view text, Mark marks = Mark::none) {
        const bool hex = has(marks, Mark::hex);
        return parse_unsigned(text, v.value, hex ? marks : marks | Mark::any_base) &&
               v.value <= std::numeric_limits<Widest>::max() && !(has(marks, Mark::natural) && v.value > INT32_MAX);
    }
    static void format(const Number& v, std::string& out) { out += fmt::format("0x{:0{}x}", v.value, digits); }
    static void random(Number& v, Random& r) { v.value = r() % 8; }
    static constexpr const char* expected = "Expected non-negative integer value";
};
template<> struct Traits<rpc::Uuid> {
    static bool present(const rpc::Uuid& v) { return !v.is_nil(); }
    static bool parse(rpc::Uuid& v, std::string_view text) {
        const auto parsed = rpc::Uuid::parse(text);
        if (parsed) v = *parsed;
        return parsed.has_value();
    }
    static void format(const rpc::Uuid& v, std::string& out) { out += v.text(); }
    static void random(rpc::Uuid& v, Random& r) {
        for (auto& byte : v.bytes) byte = static_cast<std::uint8_t>(r());
    }
};
template<class T> struct Traits<T, std::enable_if_t<std::is_enum_v<T>>> {
    static bool present(T) { return true; }
    static bool parse(T& v, std::string_view text, Mark marks = Mark::none) {
        const auto words = enum_words(T{});
        for (std::size_t i = has(marks, Mark::positive) ? 1 : 0; i < words.size(); ++i)
            if (words[i] == text) return v = static_cast<T>(i), true;
        return false;
    }
    static void format(T v, std::string& out) { out += enum_words(T{})[static_cast<std::size_t>(v)]; }
    static void random(T& v, Random& r) { v = static_cast<T>(r() % enum_words(T{}).size()); }
};
// Only numbers care how they are spelled.
template<class T> bool parse_scalar(T& value, std::string_view text, Mark marks) {
    if constexpr (requires { Traits<T>::parse(value, text, marks); })
        return Traits<T>::parse(value, text, marks);
    else
        return Traits<T>::parse(value, text);
}
template<class T> struct Traits<std::optional<T>> {
    static bool present(const std::optional<T>& v) { return v.has_value(); }
    static bool parse(std::optional<T>& v, std::string_view text, Mark marks = Mark::none) {
        if (parse_scalar(v.emplace(), text, marks)) return true;
        v.reset();
        return false;
    }
    static void format(const std::optional<T>& v, std::string& out) { Traits<T>::format(*v, out); }
    static void random(std::optional<T>& v, Random& r) {
        v.reset();
        if (r() & 1) Traits<T>::random(v.emplace(), r);
    }
};
template<class T> constexpr const char* expected_of() {
    if constexpr (requires { Traits<T>::expected; }) return Traits<T>::expected;
    return "";
}
template<class T> struct Expected {
    static constexpr const char* text = expected_of<T>();
};
template<class T> struct Expected<std::optional<T>> : Expected<T> {};
template<class T> std::string_view word(T value) { return enum_words(T{})[static_cast<std::size_t>(value)]; }

template<class T> const ScalarOps* scalar_ops() {
    static constexpr ScalarOps ops = {
        [](const void* v) { return Traits<T>::present(*static_cast<const T*>(v)); },
        std::is_same_v<T, std::string>,
        [](void* v) { *static_cast<T*>(v) = T{}; },
        [](void* v, std::string_view text, Mark marks) { return parse_scalar(*static_cast<T*>(v), text, marks); },
        [](const void* v, std::string& out) { Traits<T>::format(*static_cast<const T*>(v), out); },
        [](void* v, Random& r) { Traits<T>::random(*static_cast<T*>(v), r); },
        Expected<T>::text,
    };
    return &ops;
}
template<class T> Scalar scalar(T& value) { return {&value, scalar_ops<T>()}; }

template<class T> struct SlotTraits {
    using Item = T;
    static constexpr bool always = true;
    static bool present(const T&) { return true; }
    static T* get(T& v) { return &v; }
    static T* emplace(T& v) { return v = T{}, &v; }
    static void clear(T& v) { v = T{}; }
};
template<class T> struct SlotTraits<std::optional<T>> {
    using Item = T;
    static constexpr bool always = false;
    static bool present(const std::optional<T>& v) { return v.has_value(); }
    static T* get(std::optional<T>& v) { return &*v; }
    static T* emplace(std::optional<T>& v) { return &v.emplace(); }
    static void clear(std::optional<T>& v) { v.reset(); }
};
template<class T> struct SlotTraits<std::unique_ptr<T>> {
    using Item = T;
    static constexpr bool always = false;
    static bool present(const std::unique_ptr<T>& v) { return v != nullptr; }
    static T* get(std::unique_ptr<T>& v) { return v.get(); }
    static T* emplace(std::unique_ptr<T>& v) { return (v = std::make_unique<T>()).get(); }
    static void clear(std::unique_ptr<T>& v) { v.reset(); }
};
// A struct held by value that may be absent and may contain itself (backing chains): copyable, compared by value.
template<class T> class Box {
  public:
    Box() = default;
    Box(const Box& other)
        : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
    Box(Box&&) noexcept = default;
    Box& operator=(Box other) noexcept { return value_ = std::move(other.value_), *this; }
    explicit operator bool() const { return value_ != nullptr; }
    T& operator*() const { return *value_; }
    T* operator->() const { return value_.get(); }
    T& emplace() { return *(value_ = std::make_unique<T>()); }
    void reset() { value_.reset(); }

  private:
    std::unique_ptr<T> value_;
};
template<class T> struct SlotTraits<Box<T>> {
    using Item = T;
    static constexpr bool always = false;
    static bool present(const Box<T>& v) { return static_cast<bool>(v); }
    static T* get(Box<T>& v) { return &*v; }
    static T* emplace(Box<T>& v) { return &v.emplace(); }
    static void clear(Box<T>& v) { v.reset(); }
};

template<class T> Slot slot_of(T& value) {
    using S = SlotTraits<T>;
    using Item = typename S::Item;
    static constexpr SlotOps ops = {
        S::always,
        [](const void* v) { return S::present(*static_cast<const T*>(v)); },
        [](void* v) -> void* { return S::get(*static_cast<T*>(v)); },
        [](void* v) -> void* { return S::emplace(*static_cast<T*>(v)); },
        [](void* v) { S::clear(*static_cast<T*>(v)); },
        [](Doc& doc, void* item) { describe(doc, *static_cast<Item*>(item)); },
    };
    return {&value, &ops};
}

template<class T>
concept IsScalar = requires { sizeof(Traits<T>); };

template<class T> void Doc::child(const char* element, T& value, Mark marks) { on_child(element, slot_of(value), marks); }
template<class T> const ListOps* list_ops() {
    static constexpr ListOps ops = {
        [](const void* v) { return static_cast<const std::vector<T>*>(v)->size(); },
        [](void* v, std::size_t i) -> void* { return &(*static_cast<std::vector<T>*>(v))[i]; },
        [](void* v) -> void* { return &static_cast<std::vector<T>*>(v)->emplace_back(); },
        [](void* v) { static_cast<std::vector<T>*>(v)->clear(); },
        [] {
            void (*function)(Doc&, void*) = nullptr;
            if constexpr (!IsScalar<T>) function = [](Doc& doc, void* item) { describe(doc, *static_cast<T*>(item)); };
            return function;
        }(),
        [] {
            const ScalarOps* (*make)() = nullptr;
            if constexpr (IsScalar<T>) make = scalar_ops<T>;
            return make;
        }(),
    };
    return &ops;
}
template<class T> void Doc::list(const char* element, std::vector<T>& values, Mark marks) {
    on_list(element, List{&values, list_ops<T>()}, marks);
}
template<class T> void Doc::choices(std::vector<T>& values, Mark marks) {
    using Kind = decltype(T::kind);
    static constexpr KindOps kinds = {
        [] { return enum_words(Kind{}); },
        [](const void* v) { return static_cast<std::size_t>(static_cast<const T*>(v)->kind); },
        [](void* v, std::size_t kind) { static_cast<T*>(v)->kind = static_cast<Kind>(kind); },
    };
    on_choices(List{&values, list_ops<T>()}, kinds, marks);
}

} // namespace lodge::xml
