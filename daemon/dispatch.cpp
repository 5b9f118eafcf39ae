#include "daemon/host.hpp"
#include "daemon/method.hpp"
#include "rpc/generated/admin.hpp"
#include "rpc/generated/keepalive.hpp"
#include "rpc/generated/lxc.hpp"
#include "rpc/generated/qemu.hpp"
#include "rpc/generated/remote.hpp"

namespace lodge::daemon {

namespace remote = rpc::remote;
namespace qemu = rpc::qemu;
namespace lxc = rpc::lxc;
namespace admin = rpc::admin;

namespace {

struct Row {
    const rpc::Procedure* procedure = nullptr;
    void (*invoke)(Call&) = nullptr;
};

// A program's procedures by number, joined with the handlers that the method tables offer.
struct Program {
    const char* name;
    std::uint32_t number, version;
    std::vector<Row> rows;

    Program(const char* program_name, std::uint32_t program, std::uint32_t program_version,
            std::span<const rpc::Procedure> procedures)
        : name(program_name)
        , number(program)
        , version(program_version) {
        for (const auto& procedure : procedures) {
            if (rows.size() <= procedure.number) rows.resize(procedure.number + 1);
            rows[procedure.number].procedure = &procedure;
        }
    }
};

std::vector<Program> make_programs() {
    std::vector<Program> programs = {{"remote", remote::program, remote::version, remote::procedures},
                                     {"qemu", qemu::program, qemu::version, qemu::procedures},
                                     {"lxc", lxc::program, lxc::version, lxc::procedures},
                                     {"admin", admin::program, admin::version, admin::procedures}};
    for (const MethodTable* table : methods::all)
        for (const Method& method : *table)
            for (auto& program : programs)
                if (program.number == method.program) program.rows[method.number].invoke = method.invoke;
    return programs;
}

const std::vector<Program>& programs() {
    static const std::vector<Program> all = make_programs();
    return all;
}

// The admin program answers on the admin socket only, the others everywhere else.
const Program* find_program(const rpc::Header& header, Door door) {
    for (const auto& program : programs())
        if (program.number == header.program && program.version == header.version &&
            (program.number == admin::program) == (door == Door::admin))
            return &program;
    return nullptr;
}

// What a client may call before it has authenticated.
bool is_authentication(const rpc::Header& header) {
    if (header.program != remote::program) return false;
    switch (static_cast<std::uint32_t>(header.procedure)) {
    case remote::AuthListCall::number:
    case remote::AuthSaslInitCall::number:
    case remote::AuthSaslStartCall::number:
    case remote::AuthSaslStepCall::number:
    case remote::AuthPolkitCall::number: return true;
    default: return false;
    }
}

bool needs_connection(const rpc::Header& header) {
    if (header.program == admin::program) return false;
    if (header.program != remote::program) return true;
    switch (static_cast<std::uint32_t>(header.procedure)) {
    case remote::ConnectOpenCall::number:
    case remote::ConnectCloseCall::number:
    case remote::ConnectSupportsFeatureCall::number: return false;
    default: return !is_authentication(header);
    }
}

[[noreturn]] void refuse_readonly(const rpc::Procedure& procedure) {
    rpc::fail(procedure.from, Code::operation_denied, "read only access prevents {}",
              procedure.api ? procedure.api : procedure.name);
}

} // namespace

void check_flags(const Call& call, std::uint32_t flags) {
    const auto& procedure = call.procedure;
    if (call.client.is_readonly() && (flags & procedure.readonly_denied) != 0) refuse_readonly(procedure);
    if (procedure.flags >= 0 && (flags & ~static_cast<std::uint32_t>(procedure.flags)) != 0)
        rpc::fail(Code::invalid_arg, "unsupported flags (0x{:x}) in function {}",
                  flags & ~static_cast<std::uint32_t>(procedure.flags), procedure.function);
}

rpc::From default_domain(const rpc::Header& call) {
    for (const auto& program : programs())
        if (program.number == call.program && static_cast<std::size_t>(call.procedure) < program.rows.size())
            if (const auto* procedure = program.rows[static_cast<std::size_t>(call.procedure)].procedure) return procedure->from;
    return From::rpc;
}

void dispatch(Client& client, const rpc::Header& header, std::string_view payload, std::vector<Fd> fds) {
    const Program* program = find_program(header, client.door());
    if (!program) rpc::fail(From::rpc, Code::rpc, "Cannot find program {} version {}", header.program, header.version);
    if (header.status != rpc::Status::ok)
        rpc::fail(From::rpc, Code::rpc, "Unexpected message status {}", static_cast<std::uint32_t>(header.status));
    if (!client.is_authenticated() && !is_authentication(header)) rpc::fail(From::rpc, Code::rpc, "authentication required");
    const auto number = static_cast<std::uint32_t>(header.procedure);
    const Row* row = number < program->rows.size() ? &program->rows[number] : nullptr;
    if (!row || !row->procedure || row->procedure->event)
        rpc::fail(From::rpc, Code::rpc, "unknown procedure: {}", header.procedure);
    const rpc::Procedure& procedure = *row->procedure;
    if (needs_connection(header) && !client.is_open())
        rpc::fail(From::rpc, Code::internal_error, "hypervisor connection not open");
    if (client.is_readonly() && procedure.readonly == rpc::ReadOnly::denied) refuse_readonly(procedure);
    // The library says this for the driver, and knows of domains where a driver is QEMU's.
    const From from = procedure.from == From::qemu ? From::domain : procedure.from;
    if (!row->invoke) rpc::fail(from, Code::no_support, "{}", procedure.api ? procedure.api : procedure.name);
    Call call{client, header, procedure, payload, fds};
    row->invoke(call);
}

std::string list_procedures() {
    std::string out;
    for (const auto& program : programs())
        for (const auto& row : program.rows)
            if (row.procedure)
                out += fmt::format("{}\t{}\t{}\t{}\n", program.name, row.procedure->number, row.procedure->name,
                                   row.procedure->event ? "event"
                                   : row.invoke         ? "served"
                                                        : "not supported");
    for (const auto& procedure : rpc::keepalive::procedures)
        out += fmt::format("keepalive\t{}\t{}\tserved\n", procedure.number, procedure.name);
    return out;
}

} // namespace lodge::daemon
