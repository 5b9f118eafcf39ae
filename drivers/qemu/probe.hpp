// Asks an emulator what it can do: once per binary, by one run with all questions on their way at once; the answers are kept on
// disk under the identity of binary, kernel and KVM.
#pragma once
#include "drivers/process/command.hpp"
#include "drivers/qemu/emulator.hpp"
#include "rpc/task.hpp"
#include <memory>
#include <optional>

namespace lodge::drivers::qemu {

using rpc::Executor;
using rpc::Task;

enum class Accelerator { best, tcg }; // best: KVM where it is usable

class EmulatorCache {
  public:
    // `folder` is made when needed; `identity` is who QEMU runs as.
    EmulatorCache(Executor executor, std::string folder, std::optional<Identity> identity);
    ~EmulatorCache();

    // From memory when the binary is still the same, else from disk, else by asking it. Those who ask meanwhile share one run.
    Task<std::shared_ptr<const EmulatorInfo>> get(std::string program, Accelerator accelerator = Accelerator::best);

  private:
    struct Entry;
    std::shared_ptr<Entry> entry(const std::string& key);
    Task<std::shared_ptr<const EmulatorInfo>> load_or_ask(std::string program, Accelerator accelerator, std::string stamp);
    std::string cache_file(const std::string& program, Accelerator accelerator) const;

    Executor executor_;
    std::string folder_;
    std::optional<Identity> identity_;
    std::map<std::string, std::shared_ptr<Entry>> entries_;
};

// One run, no cache.
Task<EmulatorInfo> probe_emulator(std::string program, Accelerator accelerator, std::optional<Identity> identity);
// Whether /dev/kvm can be opened by `identity`.
bool kvm_usable(const std::optional<Identity>& identity);

} // namespace lodge::drivers::qemu
