// Network interfaces: address, link, and what they can do by themselves, which ethtool's calls tell.
#include "drivers/host/sysfs.hpp"
#include "drivers/nodedev/device_facts.hpp"
#include "rpc/task.hpp"
#include <algorithm>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace lodge::drivers {

namespace {

class Ethtool {
  public:
    explicit Ethtool(const std::string& interface)
        : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        std::strncpy(request_.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    }
    bool ask(void* command) {
        request_.ifr_data = static_cast<char*>(command);
        return socket_ && ioctl(socket_.get(), SIOCETHTOOL, &request_) == 0;
    }
    std::uint32_t value(std::uint32_t command) {
        ethtool_value value{command, 0};
        return ask(&value) ? value.data : 0;
    }
    // Features that have no call of their own are known by name.
    bool feature(std::string_view name) {
        const auto names = feature_names();
        const auto at = std::ranges::find(names, name);
        if (at == names.end()) return false;
        const auto index = static_cast<std::size_t>(at - names.begin());
        const auto blocks = (names.size() + 31) / 32;
        std::vector<char> buffer(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block));
        auto* features = reinterpret_cast<ethtool_gfeatures*>(buffer.data());
        features->cmd = ETHTOOL_GFEATURES;
        features->size = static_cast<std::uint32_t>(blocks);
        return ask(features) && (features->features[index / 32].active >> index % 32 & 1);
    }

  private:
    std::vector<std::string> feature_names() {
        std::vector<char> sizes(sizeof(ethtool_sset_info) + sizeof(std::uint32_t));
        auto* info = reinterpret_cast<ethtool_sset_info*>(sizes.data());
        info->cmd = ETHTOOL_GSSET_INFO;
        info->sset_mask = 1ULL << ETH_SS_FEATURES;
        if (!ask(info) || info->sset_mask == 0) return {};
        const std::uint32_t count = info->data[0];
        std::vector<char> buffer(sizeof(ethtool_gstrings) + std::size_t{count} * ETH_GSTRING_LEN);
        auto* strings = reinterpret_cast<ethtool_gstrings*>(buffer.data());
        strings->cmd = ETHTOOL_GSTRINGS;
        strings->string_set = ETH_SS_FEATURES;
        strings->len = count;
        if (!ask(strings)) return {};
        std::vector<std::string> names;
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto* name = reinterpret_cast<const char*>(strings->data) + std::size_t{i} * ETH_GSTRING_LEN;
            names.emplace_back(name, strnlen(name, ETH_GSTRING_LEN));
        }
        return names;
    }

    rpc::Fd socket_;
    ifreq request_{};
};

void features(const std::string& interface, xml::NodeCapability& net) {
    Ethtool ethtool(interface);
    const auto add = [&](const char* name, bool there) {
        if (there) net.features.push_back({name});
    };
    add("rx", ethtool.value(ETHTOOL_GRXCSUM));
    add("tx", ethtool.value(ETHTOOL_GTXCSUM));
    add("sg", ethtool.value(ETHTOOL_GSG));
    add("tso", ethtool.value(ETHTOOL_GTSO));
    add("gso", ethtool.value(ETHTOOL_GGSO));
    add("gro", ethtool.value(ETHTOOL_GGRO));
    const auto flags = ethtool.value(ETHTOOL_GFLAGS);
    add("lro", flags & ETH_FLAG_LRO);
    add("rxvlan", flags & ETH_FLAG_RXVLAN);
    add("txvlan", flags & ETH_FLAG_TXVLAN);
    add("ntuple", flags & ETH_FLAG_NTUPLE);
    add("rxhash", flags & ETH_FLAG_RXHASH);
    std::error_code ignored;
    add("rdma", std::filesystem::exists("/sys/class/net/" + interface + "/device/infiniband", ignored));
    add("txudptnl", ethtool.feature("tx-udp_tnl-segmentation"));
}

} // namespace

bool net_facts(const UdevDevice& device, xml::NodeCapability& net) {
    net.interface = device.property("INTERFACE");
    if (net.interface.empty()) return false;
    net.address = device.attribute("address");
    const auto path = device.path();
    xml::NodeLink link;
    link.state = read_small_file(path + "/operstate");
    // Links that are down tell nonsense about their speed.
    if (link.state == "up")
        if (const auto speed = read_number(path + "/speed"); speed && *speed > 0) link.speed = static_cast<unsigned>(*speed);
    if (!link.state.empty()) net.link = link;
    features(net.interface, net);
    xml::NodeDetail kind;
    kind.type = device.type() == "wlan" ? "80211" : "80203";
    net.details.push_back(std::move(kind));
    return true;
}

} // namespace lodge::drivers
