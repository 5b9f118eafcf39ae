// A stored document, kept as its compressed text (a twentieth of the memory of the parsed form) and parsed when somebody needs
// its parts. What was parsed last stays parsed for a while, so a burst of calls on one domain parses once.
#pragma once
#include "rpc/uuid.hpp"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lodge::xml {
struct Domain;
}

namespace lodge::daemon {

// What lists and statistics show of a definition, without its document.
struct DefinedSize {
    std::uint64_t memory_kib = 0, current_memory_kib = 0;
    unsigned max_vcpus = 0, online_vcpus = 0;
    explicit DefinedSize(const xml::Domain& domain);
};
struct DefinedDisk {
    std::string target, path; // as <target dev=''> and the source name them; the path may be empty
    bool qcow2 = false;
    std::vector<std::string> below; // paths of the images below, as far as the document names them
};
struct Outline {
    DefinedSize size;
    std::vector<DefinedDisk> disks;
    explicit Outline(const xml::Domain& domain);
};

class Definition {
  public:
    Definition() = default;
    // `domain` is complete; the text is made from it.
    explicit Definition(const xml::Domain& domain);

    // What its file holds: the text below a comment for people, with a sum by which from_file() knows it again.
    std::string to_file() const;
    // Takes over what to_file() wrote without parsing it. Empty when somebody edited the file since, when another version of
    // lodged or libvirt wrote it, or when it is not the definition of `name`: then it must be parsed and completed.
    static Definition from_file(std::string_view file, const std::string& name);

    bool is_empty() const { return packed_.empty(); }
    rpc::Uuid uuid() const { return uuid_; }
    // With secrets, inactive, in normal form: what the definition file holds.
    std::string text() const;
    std::shared_ptr<const xml::Domain> document() const;
    const Outline& outline() const; // parses once
    // A copy to change.
    xml::Domain copy() const;

  private:
    std::string packed_;
    rpc::Uuid uuid_;
    mutable std::optional<Outline> outline_;
    mutable std::weak_ptr<const xml::Domain> parsed_;
};

} // namespace lodge::daemon
