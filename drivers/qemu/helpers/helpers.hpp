// Starts what serves a guest beside its QEMU, before QEMU: sockets are made here and handed to both sides, so that nobody has to
// wait for anybody's socket to appear. Control thread; used by launch.cpp.
#pragma once
#include "drivers/process/process.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/runtime.hpp"

namespace lodge::drivers::qemu {

class Helpers {
  public:
    Helpers(std::shared_ptr<const World> world, const xml::Domain& domain, BuildContext& context, Runtime& runtime)
        : world_(std::move(world))
        , domain_(domain)
        , context_(context)
        , runtime_(runtime) {}

    // Fills in `context` where QEMU finds them, and `runtime` who they are.
    Task<> start();
    // One that comes later.
    Task<> start_virtiofs(const xml::Filesystem& filesystem);
    void start_passt(const xml::Nic& nic);
    // QEMU and the helpers have their own.
    void close() { fds_.clear(); }
    // Of a helper that has ended already: its last words. Empty: all of them run.
    std::string last_words() const;

  private:
    struct Running {
        std::string name;
        std::shared_ptr<Process> process;
        std::string log;
    };
    void run(std::string name, const Command& command);
    int keep(Fd fd);
    int passphrase(const std::string& plain); // -1: there is none
    Task<> start_tpm(const xml::Tpm& tpm);

    std::shared_ptr<const World> world_;
    const xml::Domain& domain_;
    BuildContext& context_;
    Runtime& runtime_;
    std::vector<Fd> fds_;
    std::vector<Running> running_;
};

} // namespace lodge::drivers::qemu
