// Several files that appear at their places together: each is written beside its place, synced, then all are renamed.
// What was there before stands aside until accept(), and comes back when something fails.
#pragma once
#include "cli/backup/files.hpp"

#include <vector>

namespace lodge::cli {

class StagedFiles {
  public:
    ~StagedFiles(); // undoes what was not accepted
    // The place to write to; 'replace' allows that the target exists.
    fs::path add(const fs::path& target, bool replace);
    void put_in_place();
    void accept();

  private:
    struct Entry {
        fs::path target, fresh, old;
        bool placed = false, had_old = false;
    };
    std::vector<Entry> entries_;
    bool accepted_ = false;
};

} // namespace lodge::cli
