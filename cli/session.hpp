// One run of lodge: its settings, its connection and where output goes. Handlers get it by reference.
#pragma once
#include "cli/command.hpp"
#include "cli/handles.hpp"
#include "cli/parser.hpp"
#include "cli/table.hpp"

#include <cstdio>
#include <string>

namespace lodge::cli {

struct Settings {
    std::string uri; // empty: libvirt's own choice, else qemu:///system
    bool readonly = false;
    bool quiet = false;
    bool timing = false;
    int debug = 4;
    int keepalive_interval = -1; // seconds; -1: not asked for
    int keepalive_count = -1;
    std::string escape = "^]";
    std::string log_file;
    Format format = Format::text;
    bool interactive = false;
};

class Session {
  public:
    explicit Session(Settings initial)
        : settings(std::move(initial)) {}

    Settings settings;
    bool leaving = false; // quit was typed

    // Opened when first asked for, so that what needs no daemon costs no connection.
    virConnectPtr connection();
    bool connected() const { return connection_ != nullptr; }
    // What connection() would open.
    std::string uri() const;
    void connect(const std::string& name, bool readonly);

    // Parses the whole line before anything runs; true when its last command worked.
    bool run_line(std::string_view line);
    bool run_words(const std::vector<Words>& commands);

    bool json() const { return format_ == Format::json; }
    bool quiet() const { return settings.quiet || json(); }

    template<class... Args> void print(fmt::format_string<Args...> text, Args&&... args) {
        write(fmt::format(text, std::forward<Args>(args)...));
    }
    // Said to a person only: silent with -q and in JSON.
    template<class... Args> void extra(fmt::format_string<Args...> text, Args&&... args) {
        if (!quiet()) write(fmt::format(text, std::forward<Args>(args)...));
    }
    void show(const Table& table);
    void show(const Pairs& pairs);
    void show(const Json& json);
    // One value: as it is, or as a JSON string or number.
    void show_value(const Cell& cell, std::string_view end = "\n");
    void error(std::string_view text);
    void write(std::string_view text);
    void flush() { std::fflush(stdout); }

  private:
    bool run(const Command& command, const Arguments& arguments);
    void open(const std::string& name, bool readonly);
    void log(std::string_view text);

    Connection connection_;
    Format format_ = Format::text;
};

// A line for the terminal: newlines inside a cause become blanks.
std::string one_line(std::string_view text);

} // namespace lodge::cli
