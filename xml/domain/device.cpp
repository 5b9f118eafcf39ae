#include "xml/domain/device.hpp"
#include <pugixml.hpp>

namespace lodge::xml {

Device::Device(const Device&) = default;
Device::Device(Device&&) noexcept = default;
Device& Device::operator=(const Device&) = default;
Device& Device::operator=(Device&&) noexcept = default;
Device::~Device() = default;

namespace {

// The list of a kind, and its element.
template<class T> struct Kind;
template<auto member> struct KindOf {
    static auto& list(Devices& devices) { return devices.*member; }
    static const auto& list(const Devices& devices) { return devices.*member; }
};
template<> struct Kind<Disk> : KindOf<&Devices::disks> {
    static constexpr std::string_view element = "disk";
};
template<> struct Kind<Controller> : KindOf<&Devices::controllers> {
    static constexpr std::string_view element = "controller";
};
template<> struct Kind<Lease> : KindOf<&Devices::leases> {
    static constexpr std::string_view element = "lease";
};
template<> struct Kind<Filesystem> : KindOf<&Devices::filesystems> {
    static constexpr std::string_view element = "filesystem";
};
template<> struct Kind<Nic> : KindOf<&Devices::interfaces> {
    static constexpr std::string_view element = "interface";
};
template<> struct Kind<Smartcard> : KindOf<&Devices::smartcards> {
    static constexpr std::string_view element = "smartcard";
};
template<> struct Kind<Serial> : KindOf<&Devices::serials> {
    static constexpr std::string_view element = "serial";
};
template<> struct Kind<Parallel> : KindOf<&Devices::parallels> {
    static constexpr std::string_view element = "parallel";
};
template<> struct Kind<Console> : KindOf<&Devices::consoles> {
    static constexpr std::string_view element = "console";
};
template<> struct Kind<Channel> : KindOf<&Devices::channels> {
    static constexpr std::string_view element = "channel";
};
template<> struct Kind<Input> : KindOf<&Devices::inputs> {
    static constexpr std::string_view element = "input";
};
template<> struct Kind<Tpm> : KindOf<&Devices::tpms> {
    static constexpr std::string_view element = "tpm";
};
template<> struct Kind<Graphics> : KindOf<&Devices::graphics> {
    static constexpr std::string_view element = "graphics";
};
template<> struct Kind<Sound> : KindOf<&Devices::sounds> {
    static constexpr std::string_view element = "sound";
};
template<> struct Kind<Audio> : KindOf<&Devices::audios> {
    static constexpr std::string_view element = "audio";
};
template<> struct Kind<Video> : KindOf<&Devices::videos> {
    static constexpr std::string_view element = "video";
};
template<> struct Kind<Hostdev> : KindOf<&Devices::hostdevs> {
    static constexpr std::string_view element = "hostdev";
};
template<> struct Kind<Redirdev> : KindOf<&Devices::redirdevs> {
    static constexpr std::string_view element = "redirdev";
};
template<> struct Kind<Hub> : KindOf<&Devices::hubs> {
    static constexpr std::string_view element = "hub";
};
template<> struct Kind<Watchdog> : KindOf<&Devices::watchdogs> {
    static constexpr std::string_view element = "watchdog";
};
template<> struct Kind<Memballoon> : KindOf<&Devices::memballoon> {
    static constexpr std::string_view element = "memballoon";
};
template<> struct Kind<Rng> : KindOf<&Devices::rngs> {
    static constexpr std::string_view element = "rng";
};
template<> struct Kind<Nvram> : KindOf<&Devices::nvram> {
    static constexpr std::string_view element = "nvram";
};
template<> struct Kind<Panic> : KindOf<&Devices::panics> {
    static constexpr std::string_view element = "panic";
};
template<> struct Kind<Shmem> : KindOf<&Devices::shmems> {
    static constexpr std::string_view element = "shmem";
};
template<> struct Kind<MemoryDevice> : KindOf<&Devices::memories> {
    static constexpr std::string_view element = "memory";
};
template<> struct Kind<Iommu> : KindOf<&Devices::iommu> {
    static constexpr std::string_view element = "iommu";
};
template<> struct Kind<Vsock> : KindOf<&Devices::vsock> {
    static constexpr std::string_view element = "vsock";
};
template<> struct Kind<Crypto> : KindOf<&Devices::cryptos> {
    static constexpr std::string_view element = "crypto";
};

template<class T> constexpr bool is_optional = false;
template<class T> constexpr bool is_optional<std::optional<T>> = true;

// Calls visit.template operator()<T>() for the kind of this number.
template<class F, std::size_t... I> decltype(auto) with_kind(std::size_t kind, F&& visit, std::index_sequence<I...>) {
    using Result = decltype(visit.template operator()<Disk>());
    Result (*const calls[])(F&) = {
        [](F& f) -> Result { return f.template operator()<std::variant_alternative_t<I, DeviceKinds>>(); }...};
    return calls[kind](visit);
}
template<class F> decltype(auto) with_kind(std::size_t kind, F&& visit) {
    return with_kind(kind, std::forward<F>(visit), std::make_index_sequence<device_kinds>());
}

template<class T> std::size_t size_of(const Devices& devices) {
    const auto& list = Kind<T>::list(devices);
    if constexpr (is_optional<std::remove_cvref_t<decltype(list)>>)
        return list ? 1 : 0;
    else
        return list.size();
}
template<class T> const T& item(const Devices& devices, std::size_t place) {
    const auto& list = Kind<T>::list(devices);
    if constexpr (is_optional<std::remove_cvref_t<decltype(list)>>)
        return *list;
    else
        return list[place];
}

} // namespace

Device parse_device(std::string_view text, const ReadOptions& options) {
    pugi::xml_document document;
    document.load_buffer(text.data(), text.size());
    const std::string_view root = document.document_element().name();
    std::optional<Device> device;
    ReadOptions named = options;
    if (named.where.empty()) named.where = "(device_definition)";
    const auto try_kind = [&]<class T>() {
        if (!device && root == Kind<T>::element) device = parse<T>(text, Kind<T>::element.data(), named);
    };
    for (std::size_t kind = 0; kind < device_kinds; ++kind) with_kind(kind, try_kind);
    if (device) return std::move(*device);
    if (root.empty()) parse<Disk>(text, "disk", named); // says what is wrong with it
    rpc::fail(From::domain, Code::config_unsupported, "unknown device type '{}'", root);
}

std::string_view element_of(const Device& device) {
    return std::visit([]<class T>(const T&) { return Kind<T>::element; }, device);
}

std::string_view kind_word(const Device& device) {
    const bool character = std::holds_alternative<Serial>(device) || std::holds_alternative<Parallel>(device) ||
                           std::holds_alternative<Console>(device) || std::holds_alternative<Channel>(device);
    return character ? "chr" : element_of(device);
}

std::size_t count_of(const Devices& devices, std::size_t kind) {
    return with_kind(kind, [&]<class T>() { return size_of<T>(devices); });
}

Device device_at(const Devices& devices, DeviceAt at) {
    return with_kind(at.kind, [&]<class T>() -> Device { return item<T>(devices, at.place); });
}

void insert_device(Devices& devices, DeviceAt at, Device device) {
    std::visit(
        [&]<class T>(T& value) {
            auto& list = Kind<T>::list(devices);
            if constexpr (is_optional<std::remove_cvref_t<decltype(list)>>)
                list = std::move(value);
            else
                list.insert(list.begin() + static_cast<std::ptrdiff_t>(std::min(at.place, list.size())), std::move(value));
        },
        device);
}

void replace_device(Devices& devices, DeviceAt at, Device device) {
    erase_device(devices, at);
    insert_device(devices, at, std::move(device));
}

void erase_device(Devices& devices, DeviceAt at) {
    with_kind(at.kind, [&]<class T>() {
        auto& list = Kind<T>::list(devices);
        if constexpr (is_optional<std::remove_cvref_t<decltype(list)>>)
            list.reset();
        else
            list.erase(list.begin() + static_cast<std::ptrdiff_t>(at.place));
    });
}

DeviceInfo* info_of(Device& device) {
    return std::visit(
        []<class T>(T& value) -> DeviceInfo* {
            if constexpr (requires { value.info; })
                return &value.info;
            else
                return nullptr;
        },
        device);
}
const DeviceInfo* info_of(const Device& device) { return info_of(const_cast<Device&>(device)); }

std::optional<DeviceAt> find_alias(const Devices& devices, std::string_view alias) {
    std::optional<DeviceAt> found;
    std::size_t kind = 0;
    const auto search = [&]<class T>() {
        if constexpr (requires(T& t) { t.info; })
            for (std::size_t place = 0; !found && place < size_of<T>(devices); ++place)
                if (item<T>(devices, place).info.alias == alias) found = DeviceAt{kind, place};
    };
    for (; !found && kind < device_kinds; ++kind) with_kind(kind, search);
    return found;
}

} // namespace lodge::xml
