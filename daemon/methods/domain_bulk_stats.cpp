// virConnectGetAllDomainStats: figures of many guests in one answer. All guests are asked at once; one that does not answer in
// time is left out of the groups that need it and delays nobody.
#include "daemon/lookup.hpp"
#include "drivers/host/net_counters.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

namespace {

using Params = std::vector<rpc::TypedParam>;

// A guest's monitor may hang; its figures are not worth more than this. Who does not want to wait gets what a healthy QEMU
// answers at once.
constexpr std::chrono::milliseconds patience{5000}, nowait_patience{40};

// What is the same for all guests of one call.
struct Question {
    unsigned groups = 0;
    bool backing = false;
    std::chrono::milliseconds patience;
    std::map<std::string, drivers::NetCounters> counters; // of the host's devices
};

// One guest and all that is known of it when its groups are written down.
struct Subject {
    DomainPtr domain;
    bool active = false;
    std::optional<drivers::CpuTime> cpu;
    std::vector<drivers::VcpuInfo> vcpus;
    drivers::Figures figures;
    std::vector<std::optional<drivers::BlockInfo>> images; // of a guest that does not run: one for each disk that it defines
    Params params;

    // Read only where a group needs it: of a guest that is off it may still stand in its file.
    const xml::Domain& document() {
        if (!document_) document_ = domain->current();
        return *document_;
    }
    template<class T> void put(std::string name, T value) { params.push_back({std::move(name), value}); }
    void put_count(std::string name, std::size_t count) { put(std::move(name), static_cast<std::uint32_t>(count)); }

  private:
    std::shared_ptr<const xml::Domain> document_;
};

// ---- groups, in libvirt's order ----

void add_state(Subject& s, const Question&) {
    s.put("state.state", s.domain->state());
    s.put("state.reason", s.domain->reason());
}

void add_cpu(Subject& s, const Question&) {
    if (s.cpu || !s.active) { // who is not running has used none
        const auto time = s.cpu.value_or(drivers::CpuTime{});
        s.put("cpu.time", time.total_ns);
        s.put("cpu.user", time.user_ns);
        s.put("cpu.system", time.system_ns);
    }
    if (!s.active) return;
    s.put_count("cpu.cache.monitor.count", 0);
    if (!s.figures.vcpus) return;
    std::uint64_t success = 0, fail = 0;
    for (const auto& [vcpu, figures] : *s.figures.vcpus)
        for (const auto& [name, value] : figures) {
            const auto* number = std::get_if<std::uint64_t>(&value);
            if (number && name == "halt_poll_success_ns.sum") success += *number;
            if (number && name == "halt_poll_fail_ns.sum") fail += *number;
        }
    s.put("cpu.haltpoll.success.time", success);
    s.put("cpu.haltpoll.fail.time", fail);
}

void add_balloon(Subject& s, const Question&) {
    const auto size = s.domain->size();
    s.put("balloon.current", size.current_memory_kib);
    s.put("balloon.maximum", size.memory_kib);
    static constexpr std::pair<const char*, const char*> names[] = {{"swap_in", "swap_in"},
                                                                    {"swap_out", "swap_out"},
                                                                    {"major_fault", "major_fault"},
                                                                    {"minor_fault", "minor_fault"},
                                                                    {"unused", "unused"},
                                                                    {"available", "available"},
                                                                    {"usable", "usable"},
                                                                    {"last_update", "last-update"},
                                                                    {"disk_caches", "disk_caches"},
                                                                    {"hugetlb_pgalloc", "hugetlb_pgalloc"},
                                                                    {"hugetlb_pgfail", "hugetlb_pgfail"},
                                                                    {"rss", "rss"}};
    if (!s.figures.memory) return;
    for (const auto& [ours, theirs] : names)
        if (const auto at = s.figures.memory->find(ours); at != s.figures.memory->end())
            s.put(std::string("balloon.") + theirs, at->second);
}

void add_kvm(Subject& s, const std::string& prefix, const drivers::KvmFigures& figures) {
    for (const auto& [name, value] : figures)
        std::visit([&](auto plain) { s.put(fmt::format("{}.{}", prefix, name), plain); }, value);
}

void add_vcpus(Subject& s, const Question&) {
    const auto size = s.domain->size();
    s.put_count("vcpu.current", size.online_vcpus);
    s.put_count("vcpu.maximum", size.max_vcpus);
    for (const auto& vcpu : s.vcpus) {
        if (!vcpu.online) continue;
        const std::string prefix = fmt::format("vcpu.{}", vcpu.number);
        s.put(prefix + ".state", std::int32_t{api::vcpu_running});
        s.put(prefix + ".time", vcpu.cpu_time_ns);
        s.put(prefix + ".wait", vcpu.wait_ns);
        s.put(prefix + ".delay", vcpu.delay_ns);
        if (!s.figures.vcpus) continue;
        if (const auto at = s.figures.vcpus->find(vcpu.number); at != s.figures.vcpus->end()) add_kvm(s, prefix, at->second);
    }
}

void add_interfaces(Subject& s, const Question& question) {
    if (!s.active) return;
    const auto& nics = s.document().devices.interfaces;
    s.put_count("net.count", nics.size());
    for (std::size_t i = 0; i < nics.size(); ++i) {
        if (nics[i].target.dev.empty()) continue;
        const auto put = [&](const char* name, auto value) { s.put(fmt::format("net.{}.{}", i, name), value); };
        put("name", nics[i].target.dev);
        const auto known = question.counters.find(nics[i].target.dev);
        if (known == question.counters.end()) continue;
        const auto c = nics[i].actual_type() == xml::NicType::direct ? known->second : known->second.from_the_other_end();
        put("rx.bytes", c.rx_bytes);
        put("rx.pkts", c.rx_packets);
        put("rx.errs", c.rx_errors);
        put("rx.drop", c.rx_dropped);
        put("tx.bytes", c.tx_bytes);
        put("tx.pkts", c.tx_packets);
        put("tx.errs", c.tx_errors);
        put("tx.drop", c.tx_dropped);
    }
}

// Of the disk itself, not of what it stands on.
void add_requests(Subject& s, const std::string& prefix, const drivers::BlockStats& stats) {
    const auto put = [&](const char* name, std::int64_t value) {
        if (value >= 0) s.put(prefix + name, static_cast<std::uint64_t>(value));
    };
    put("rd.reqs", stats.read_requests);
    put("rd.bytes", stats.read_bytes);
    put("rd.times", stats.read_time_ns);
    put("wr.reqs", stats.write_requests);
    put("wr.bytes", stats.write_bytes);
    put("wr.times", stats.write_time_ns);
    put("fl.reqs", stats.flush_requests);
    put("fl.times", stats.flush_time_ns);
}

void add_sizes(Subject& s, const std::string& prefix, const drivers::BlockInfo& image) {
    if (image.allocation) s.put(prefix + "allocation", image.allocation);
    if (image.capacity) s.put(prefix + "capacity", image.capacity);
    if (image.physical) s.put(prefix + "physical", image.physical);
}

void add_live_sizes(Subject& s, const std::string& prefix, const xml::StorageSource& source) {
    if (!s.figures.images || !source.index) return;
    const auto image = s.figures.images->find(*source.index);
    if (image == s.figures.images->end()) return;
    s.put(prefix + "allocation", image->second.allocation);
    if (image->second.capacity) s.put(prefix + "capacity", image->second.capacity);
    if (image->second.physical) s.put(prefix + "physical", image->second.physical);
    if (image->second.write_threshold) s.put(prefix + "threshold", image->second.write_threshold);
}

void add_disk(Subject& s, const xml::Disk& disk, bool backing, std::size_t& number) {
    const auto add_layer = [&](const xml::StorageSource& source, bool top) {
        const std::string prefix = fmt::format("block.{}.", number++);
        s.put(prefix + "name", disk.target.dev);
        if (!source.path.empty()) s.put(prefix + "path", source.path);
        if (source.index) s.put(prefix + "backingIndex", *source.index);
        if (top && s.figures.disks)
            if (const auto stats = s.figures.disks->find(disk.target.dev); stats != s.figures.disks->end())
                add_requests(s, prefix, stats->second);
        add_live_sizes(s, prefix, source);
    };
    add_layer(disk.source, true);
    if (!backing) return;
    for (const auto* layer = disk.backing ? &*disk.backing : nullptr; layer && !layer->source.empty();
         layer = layer->backing ? &*layer->backing : nullptr)
        add_layer(layer->source, false);
}

// Nothing of one that is about to be created.
const std::vector<DefinedDisk>& defined_disks(const Domain& domain) {
    static const std::vector<DefinedDisk> none;
    return domain.definition().is_empty() ? none : domain.definition().outline().disks;
}

void add_defined_blocks(Subject& s, bool backing) {
    const std::size_t place = s.params.size();
    s.put_count("block.count", 0);
    std::size_t number = 0;
    const auto add_layer = [&](const std::string& target, const std::string& path) {
        std::string prefix = fmt::format("block.{}.", number++);
        s.put(prefix + "name", target);
        if (!path.empty()) s.put(prefix + "path", path);
        return prefix;
    };
    const auto& disks = defined_disks(*s.domain);
    for (std::size_t i = 0; i < disks.size(); ++i) {
        const auto prefix = add_layer(disks[i].target, disks[i].path);
        if (i < s.images.size() && s.images[i]) add_sizes(s, prefix, *s.images[i]);
        if (backing)
            for (const auto& path : disks[i].below) add_layer(disks[i].target, path);
    }
    s.params[place].value = static_cast<std::uint32_t>(number);
}

void add_blocks(Subject& s, const Question& question) {
    if (!s.active) return add_defined_blocks(s, question.backing);
    const std::size_t place = s.params.size();
    s.put_count("block.count", 0);
    std::size_t number = 0;
    for (const auto& disk : s.document().devices.disks) add_disk(s, disk, question.backing, number);
    s.params[place].value = static_cast<std::uint32_t>(number);
}

void add_iothreads(Subject& s, const Question&) {
    if (!s.figures.iothreads || s.figures.iothreads->empty()) return;
    s.put_count("iothread.count", s.figures.iothreads->size());
    for (const auto& thread : *s.figures.iothreads) {
        s.put(fmt::format("iothread.{}.poll-max-ns", thread.id), thread.poll_max_ns);
        s.put(fmt::format("iothread.{}.poll-grow", thread.id), static_cast<std::uint32_t>(thread.poll_grow));
        s.put(fmt::format("iothread.{}.poll-shrink", thread.id), static_cast<std::uint32_t>(thread.poll_shrink));
    }
}

void add_dirty_rate(Subject& s, const Question&) {
    if (!s.figures.dirty_rate) return;
    const auto& rate = *s.figures.dirty_rate;
    s.put("dirtyrate.calc_status", rate.status);
    s.put("dirtyrate.calc_start_time", rate.start_s);
    s.put("dirtyrate.calc_period", rate.period_s);
    s.put("dirtyrate.calc_mode", rate.mode);
    if (rate.status != static_cast<int>(api::domain_dirtyrate_measured)) return;
    s.put("dirtyrate.megabytes_per_second", rate.megabytes_per_second);
    for (const auto& [vcpu, megabytes] : rate.vcpus)
        s.put(fmt::format("dirtyrate.vcpu.{}.megabytes_per_second", vcpu), megabytes);
}

void add_vm(Subject& s, const Question&) {
    if (s.figures.vm) add_kvm(s, "vm", *s.figures.vm);
}

void add_perf(Subject& s, const Question&) {
    if (const auto machine = s.domain->shared_machine())
        for (const auto& [name, value] : machine->event_counts()) s.put("perf." + name, value);
}

void add_nothing(Subject&, const Question&) {} // counters that only some hosts have, and none that is set up here

struct Group {
    unsigned flag;
    unsigned figures; // that the machine is asked for
    void (*add)(Subject& subject, const Question& question);
};
constexpr Group groups[] = {
    {api::domain_stats_state, 0, add_state},
    {api::domain_stats_cpu_total, drivers::figure::vcpus, add_cpu},
    {api::domain_stats_balloon, drivers::figure::memory, add_balloon},
    {api::domain_stats_vcpu, drivers::figure::vcpus, add_vcpus},
    {api::domain_stats_interface, 0, add_interfaces},
    {api::domain_stats_block, drivers::figure::disks, add_blocks},
    {api::domain_stats_perf, 0, add_perf},
    {api::domain_stats_iothread, drivers::figure::iothreads, add_iothreads},
    {api::domain_stats_memory, 0, add_nothing},
    {api::domain_stats_dirtyrate, drivers::figure::dirty_rate, add_dirty_rate},
    {api::domain_stats_vm, drivers::figure::vm, add_vm},
};

// ---- asking ----

using Subjects = std::vector<std::shared_ptr<Subject>>;

// All guests that are off in one go. Their disks may be away.
Task<> look_at_images(drivers::Driver& driver, const Subjects& subjects) {
    std::vector<drivers::ImagePlace> places;
    std::vector<std::size_t> counts;
    for (const auto& subject : subjects) {
        const auto before = places.size();
        if (!subject->active)
            for (const auto& disk : defined_disks(*subject->domain)) places.push_back({disk.path, disk.qcow2});
        counts.push_back(places.size() - before);
    }
    if (places.empty()) co_return;
    auto infos = co_await driver.image_infos(std::move(places));
    auto next = infos.begin();
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        subjects[i]->images.assign(next, next + static_cast<std::ptrdiff_t>(counts[i]));
        next += static_cast<std::ptrdiff_t>(counts[i]);
    }
}

Task<> collect(std::shared_ptr<Subject> subject, std::shared_ptr<const Question> question) {
    unsigned wanted = 0;
    for (const auto& group : groups)
        if (question->groups & group.flag) wanted |= group.figures;
    const auto machine = subject->domain->shared_machine();
    if (!machine) co_return;
    if (question->groups & api::domain_stats_cpu_total) subject->cpu = co_await machine->cpu_time();
    if (question->groups & api::domain_stats_vcpu) subject->vcpus = co_await machine->vcpus();
    if (wanted) subject->figures = co_await machine->figures(wanted, question->patience);
}

Task<> collect_one(std::shared_ptr<Subject> subject, std::shared_ptr<const Question> question, std::shared_ptr<std::size_t> left,
                   std::shared_ptr<rpc::Signal> done) {
    try {
        co_await collect(subject, question);
    } catch (const rpc::Error&) {
        // The guest ended meanwhile: what is there stands.
    }
    if (--*left == 0) done->set();
}

Task<> ask_machines(rpc::Executor executor, std::shared_ptr<const Question> question, const Subjects& subjects) {
    auto left =
        std::make_shared<std::size_t>(std::ranges::count_if(subjects, [](const auto& subject) { return subject->active; }));
    auto done = std::make_shared<rpc::Signal>(executor);
    for (const auto& subject : subjects)
        if (subject->active) rpc::spawn(executor, "statistics", collect_one(subject, question, left, done));
    // They keep to their patience themselves, except where the host's own disks do not answer.
    if (*left > 0) co_await done->wait(question->patience + std::chrono::seconds(1));
}

bool matches(const Domain& domain, unsigned flags) {
    auto either = [&](unsigned yes, unsigned no, bool value) {
        return (flags & (yes | no)) == 0 || (flags & (value ? yes : no)) != 0;
    };
    if (!either(api::connect_get_all_domains_stats_active, api::connect_get_all_domains_stats_inactive, domain.is_active()))
        return false;
    if (!either(api::connect_get_all_domains_stats_persistent, api::connect_get_all_domains_stats_transient,
                domain.is_persistent()))
        return false;
    constexpr unsigned running = api::connect_get_all_domains_stats_running, paused = api::connect_get_all_domains_stats_paused,
                       off = api::connect_get_all_domains_stats_shutoff, other = api::connect_get_all_domains_stats_other;
    if ((flags & (running | paused | off | other)) == 0) return true;
    switch (static_cast<unsigned>(domain.state())) {
    case api::domain_running: return flags & running;
    case api::domain_paused: return flags & paused;
    case api::domain_shutoff: return flags & off;
    default: return flags & other;
    }
}

Subjects subjects_of(Client& client, const remote::ConnectGetAllDomainStatsArgs& args) {
    Subjects subjects;
    const auto add = [&](const DomainPtr& domain) {
        if (!domain || !matches(*domain, args.flags)) return;
        auto subject = std::make_shared<Subject>();
        subject->domain = domain;
        subject->active = domain->has_machine();
        subjects.push_back(std::move(subject));
    };
    if (args.doms.empty())
        for (const auto& domain : client.hypervisor().visible()) add(domain);
    for (const auto& named : args.doms) add(client.hypervisor().find_uuid(named.uuid));
    return subjects;
}

std::shared_ptr<const Question> question_of(const remote::ConnectGetAllDomainStatsArgs& args) {
    unsigned known = 0;
    for (const auto& group : groups) known |= group.flag;
    if ((args.flags & api::connect_get_all_domains_stats_enforce_stats) && (args.stats & ~known))
        rpc::fail(Code::argument_unsupported, "Stats types bits 0x{:x} are not supported by this daemon or QEMU",
                  args.stats & ~known);
    auto question = std::make_shared<Question>();
    question->groups = args.stats ? args.stats & known : known;
    question->backing = args.flags & api::connect_get_all_domains_stats_backing;
    question->patience = args.flags & api::connect_get_all_domains_stats_nowait ? nowait_patience : patience;
    if (question->groups & api::domain_stats_interface) question->counters = drivers::net_counters();
    return question;
}

Task<remote::ConnectGetAllDomainStatsRet> all_stats(ClientPtr client, remote::ConnectGetAllDomainStatsArgs args) {
    const auto question = question_of(args);
    const auto subjects = subjects_of(*client, args);
    co_await ask_machines(client->executor(), question, subjects);
    if (question->groups & api::domain_stats_block) co_await look_at_images(client->hypervisor().driver(), subjects);
    remote::ConnectGetAllDomainStatsRet ret;
    for (const auto& subject : subjects) {
        for (const auto& group : groups)
            if (question->groups & group.flag) group.add(*subject, *question);
        ret.retStats.push_back({subject->domain->wire(), std::move(subject->params)});
    }
    co_return ret;
}

constexpr Method table[] = {
    on<remote::ConnectGetAllDomainStatsCall, all_stats>(),
};

} // namespace

const MethodTable methods::domain_bulk_stats = table;

} // namespace lodge::daemon
