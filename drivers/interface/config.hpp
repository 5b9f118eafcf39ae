// Where the host keeps its interfaces' configuration, as documents. One implementation per program that runs hosts; all of them
// keep whatever they do not understand. These block.
#pragma once
#include "drivers/process/command.hpp"
#include "xml/interface.hpp"
#include <filesystem>
#include <map>
#include <memory>

namespace lodge::drivers {

// The files of a configuration with their contents, to be put back when a change fails or is rolled back.
struct FileSnapshot {
    std::map<std::filesystem::path, std::string> files;
    void restore(const std::vector<std::filesystem::path>& folders) const; // removes what was not there
};

class InterfaceConfig {
  public:
    virtual ~InterfaceConfig() = default;
    // Every configured interface; ports stand nested in their bridge or bond, and not on their own.
    virtual std::vector<xml::Interface> read() = 0;
    // Replaces what is configured under its name and its ports' names.
    virtual void define(const xml::Interface& document) = 0;
    virtual void undefine(const std::string& name) = 0;
    virtual std::vector<std::filesystem::path> places() = 0; // files and folders of it
    // What makes the program take note of a change that is already made in the kernel.
    virtual std::vector<Command> notify() { return {}; }
    virtual void mark(const std::string& name, bool up) { (void)name, (void)up; }

    FileSnapshot snapshot();
    // Looks which program runs the host below `root`.
    static std::unique_ptr<InterfaceConfig> of_host(const std::filesystem::path& root);
};

std::unique_ptr<InterfaceConfig> ifupdown_config(const std::filesystem::path& root);
std::unique_ptr<InterfaceConfig> networkd_config(const std::filesystem::path& root);

// Helpers of the implementations.
std::string read_config_file(const std::filesystem::path& path);
void write_config_file(const std::filesystem::path& path, const std::string& text); // aside, synced, renamed; mode kept
std::vector<std::string> words_of(std::string_view line);

} // namespace lodge::drivers
