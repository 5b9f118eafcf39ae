// CPUs: compared with the host's or a hypervisor's, and what several have in common.
#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/xml_query.hpp"

namespace lodge::cli {

namespace {

// The <cpu>s of a file: by themselves, one after another, or those of a domain, of capabilities, of domain capabilities.
std::vector<std::string> cpus_in(const std::string& path) {
    std::string text = read_document(path);
    if (text.starts_with("<?xml")) text.erase(0, text.find("?>") + 2);
    const auto document = parse_document("<container>" + text + "</container>", path.c_str());
    std::vector<std::string> cpus;
    for (const auto& found : document.select_nodes("/container/cpu|/container/domain/cpu|/container/capabilities/host/cpu|"
                                                   "/container/domainCapabilities/cpu/mode[@name='host-model' and "
                                                   "@supported='yes']")) {
        auto node = found.node();
        if (std::string_view(node.name()) == "mode") {
            node.set_name("cpu");
            while (node.first_attribute()) node.remove_attribute(node.first_attribute());
        }
        cpus.push_back(format_document(node));
    }
    if (cpus.empty())
        fail(
            "File '{}' does not contain any <cpu> element or valid domain XML, host capabilities XML, or domain capabilities XML",
            path);
    return cpus;
}

struct Hypervisor {
    std::optional<std::string> emulator, arch, machine, virttype;
    explicit Hypervisor(const Arguments& arguments)
        : emulator(arguments.text("emulator"))
        , arch(arguments.text("arch"))
        , machine(arguments.text("machine"))
        , virttype(arguments.text("virttype")) {}
    static const char* word(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }
};

unsigned compare_flags(const Arguments& arguments) {
    return (arguments.has("error") ? VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE : 0u) |
           (arguments.has("validate") ? VIR_CONNECT_COMPARE_CPU_VALIDATE_XML : 0u);
}

unsigned baseline_flags(const Arguments& arguments) {
    return (arguments.has("features") ? VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES : 0u) |
           (arguments.has("migratable") ? VIR_CONNECT_BASELINE_CPU_MIGRATABLE : 0u);
}

void show_baseline(Session& session, const Text& document) {
    if (!document) fail_with_cause();
    session.write(document.get());
}

void cpu_compare(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    const auto cpus = cpus_in(file);
    switch (virConnectCompareCPU(session.connection(), cpus.front().c_str(), compare_flags(arguments))) {
    case VIR_CPU_COMPARE_INCOMPATIBLE: session.print("CPU described in {} is incompatible with host CPU\n", file); fail("{}", "");
    case VIR_CPU_COMPARE_IDENTICAL: return session.print("CPU described in {} is identical to host CPU\n", file);
    case VIR_CPU_COMPARE_SUPERSET: return session.print("Host CPU is a superset of CPU described in {}\n", file);
    default: fail_with_cause("Failed to compare host CPU with {}", file);
    }
}

void hypervisor_cpu_compare(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    const auto cpus = cpus_in(file);
    const Hypervisor with(arguments);
    switch (virConnectCompareHypervisorCPU(session.connection(), with.word(with.emulator), with.word(with.arch),
                                           with.word(with.machine), with.word(with.virttype), cpus.front().c_str(),
                                           compare_flags(arguments))) {
    case VIR_CPU_COMPARE_INCOMPATIBLE:
        session.print("CPU described in {} is incompatible with the CPU provided by hypervisor on the host\n", file);
        fail("{}", "");
    case VIR_CPU_COMPARE_IDENTICAL:
        return session.print("CPU described in {} is identical to the CPU provided by hypervisor on the host\n", file);
    case VIR_CPU_COMPARE_SUPERSET:
        return session.print("The CPU provided by hypervisor on the host is a superset of CPU described in {}\n", file);
    default: fail_with_cause("Failed to compare hypervisor CPU with {}", file);
    }
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
    std::vector<const char*> out;
    for (const auto& text : texts) out.push_back(text.c_str());
    return out;
}

void cpu_baseline(Session& session, const Arguments& arguments) {
    const auto cpus = cpus_in(arguments.required("file"));
    auto texts = pointers(cpus);
    show_baseline(session, Text(virConnectBaselineCPU(session.connection(), texts.data(), static_cast<unsigned>(texts.size()),
                                                      baseline_flags(arguments))));
}

void hypervisor_cpu_baseline(Session& session, const Arguments& arguments) {
    arguments.exclusive("file", "model");
    const auto model = arguments.text("model");
    if (!model && !arguments.has("file")) fail("{}", "either file or model is required");
    const auto cpus =
        model ? std::vector{fmt::format("<cpu><model>{}</model></cpu>", *model)} : cpus_in(arguments.required("file"));
    auto texts = pointers(cpus);
    const Hypervisor with(arguments);
    show_baseline(session,
                  Text(virConnectBaselineHypervisorCPU(session.connection(), with.word(with.emulator), with.word(with.arch),
                                                       with.word(with.machine), with.word(with.virttype), texts.data(),
                                                       static_cast<unsigned>(texts.size()), baseline_flags(arguments))));
}

void cpu_models(Session& session, const Arguments& arguments) {
    char** names = nullptr;
    const int count = check(virConnectGetCPUModelNames(session.connection(), arguments.required("arch").c_str(), &names, 0), "{}",
                            "failed to get CPU model names");
    auto list = Json::array();
    for (int i = 0; i < count; ++i) list.push_back(Text(names[i]).get());
    ::free(names);
    if (session.json()) return session.show(list);
    if (count == 0) session.extra("{}\n", "all CPU models are accepted");
    for (const auto& name : list) session.print("{}\n", name.get<std::string>());
}

const std::vector<Option> hypervisor_options = {
    text("virttype", "virtualization type (/domain/@type)"),
    text("emulator", "path to emulator binary (/domain/devices/emulator)"),
    text("arch", "CPU architecture (/domain/os/type/@arch)"),
    text("machine", "machine type (/domain/os/type/@machine)"),
};

std::vector<Option> with_hypervisor(std::vector<Option> options) {
    options.insert(options.end(), hypervisor_options.begin(), hypervisor_options.end());
    return options;
}

} // namespace

const std::vector<Command>& cpu_commands() {
    static const std::vector<Command> rows = {
        {.name = "cpu-compare",
         .group = Group::host,
         .help = "compare host CPU with a CPU described by an XML file",
         .description = "compare CPU with host CPU",
         .options = {need("file", "file containing an XML CPU description", Complete::file),
                     flag("error", "report error if CPUs are incompatible"),
                     flag("validate", "validate the XML document against schema")},
         .run = cpu_compare},
        {.name = "cpu-baseline",
         .group = Group::host,
         .help = "compute baseline CPU",
         .description = "Compute baseline CPU for a set of given CPUs.",
         .options = {need("file", "file containing XML CPU descriptions", Complete::file),
                     flag("features", "Show features that are part of the CPU model type"),
                     flag("migratable", "Do not include features that block migration")},
         .run = cpu_baseline},
        {.name = "cpu-models",
         .group = Group::host,
         .help = "CPU models",
         .description = "Get the CPU models for an arch.",
         .options = {need("arch", "architecture")},
         .run = cpu_models},
        {.name = "hypervisor-cpu-compare",
         .group = Group::host,
         .help = "compare a CPU with the CPU created by a hypervisor on the host",
         .description = "compare CPU with hypervisor CPU",
         .options = with_hypervisor({need("file", "file containing an XML CPU description", Complete::file),
                                     flag("error", "report error if CPUs are incompatible"),
                                     flag("validate", "validate the XML document against schema")}),
         .run = hypervisor_cpu_compare},
        {.name = "hypervisor-cpu-baseline",
         .group = Group::host,
         .help = "compute baseline CPU usable by a specific hypervisor",
         .description = "Compute baseline CPU for a set of given CPUs. The result will be tailored to the specified hypervisor.",
         .options = with_hypervisor({text("file", "file containing XML CPU descriptions").completed(Complete::file),
                                     flag("features", "Show features that are part of the CPU model type"),
                                     flag("migratable", "Do not include features that block migration"),
                                     text("model", "Shortcut for calling the command with a single CPU model and no additional "
                                                   "features")}),
         .run = hypervisor_cpu_baseline},
    };
    return rows;
}

} // namespace lodge::cli
