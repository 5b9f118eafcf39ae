// Logs that a guest can make grow: its VMM's own, and those of its character devices. Whoever writes one keeps writing into the
// same open file, also while no daemon runs; here the beginning of a file that got too long is moved into older files beside it
// (NAME.0, NAME.1, ... as virtlogd calls them). The kernel tells of growth; control thread, the moving on the worker pool.
#pragma once
#include "rpc/task.hpp"
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace lodge::drivers {

class LogLimit : public std::enable_shared_from_this<LogLimit> {
  public:
    // `max_size` 0: no limit, nothing is watched.
    LogLimit(rpc::Executor executor, std::uint64_t max_size, unsigned max_backups);
    ~LogLimit();

    // A file may be watched several times; what is no plain file is not. What is too long already is cut at once.
    void watch(const std::string& path);
    void forget(const std::string& path);

  private:
    struct Inotify;
    struct Log {
        unsigned watchers = 0;
        int number = -1; // of the kernel's watch
        bool busy = false;
    };
    void await_growth();
    void hear();
    void look_at(const std::string& path);
    static rpc::Task<> cut(std::shared_ptr<LogLimit> self, std::string path);

    rpc::Executor executor_;
    std::uint64_t max_size_;
    unsigned max_backups_;
    std::unique_ptr<Inotify> inotify_;
    std::map<std::string, Log> logs_;
};

// Moves all but the last few KiB of a file into NAME.0, whose former content goes to NAME.1, and so on. Nothing that is written
// meanwhile is lost where the file system can cut a file's beginning off. Keeps at most `most` bytes of it. Blocks.
void shorten_log(const std::string& path, std::uint64_t most, unsigned max_backups);

} // namespace lodge::drivers
