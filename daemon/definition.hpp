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

// A complete document as it is stored: with secrets, inactive, in normal form.
std::string definition_text(const xml::Domain& domain);
// What the file of that text holds: the text below a comment for people, with a sum by which Definition::from_file() knows it
// again.
std::string definition_file(std::string_view text);

class Definition {
  public:
    Definition() = default;
    // `text`: definition_text(domain)
    Definition(const xml::Domain& domain, std::string_view text);
    explicit Definition(const xml::Domain& domain)
        : Definition(domain, definition_text(domain)) {}

    // Takes over a file of ours without parsing it. Empty when somebody edited the file since, when another version of
    // lodged or libvirt wrote it, or when it is not the definition of `name`: then it must be parsed and completed.
    static Definition from_file(std::string_view file, const std::string& name);

    bool is_empty() const { return packed_.empty(); }
    rpc::Uuid uuid() const { return uuid_; }
    std::string text() const; // as definition_text() made it
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
