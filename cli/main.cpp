// lodge: options before the command, then one command line or the shell.
#include "cli/complete.hpp"
#include "cli/console.hpp"
#include "cli/help.hpp"
#include "cli/interactive.hpp"

#include <charconv>
#include <clocale>
#include <cstring>
#include <getopt.h>

namespace lodge::cli {
namespace {

int number_of(const char* text, std::string_view option, int least) {
    int value = 0;
    auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
    if (error != std::errc() || *end) fail("option {} takes a numeric argument", option);
    if (value < least) fail("option {} requires a positive integer argument", option);
    return value;
}

void print_version(std::string_view kind) {
    if (kind != "long" && kind != "short") fail("Unsupported version type '{}', expecting 'short' or 'long'", kind);
    if (kind == "short") {
        std::puts(LODGE_VERSION);
        return;
    }
    unsigned long library = 0;
    virGetVersion(&library, nullptr, nullptr);
    std::puts(fmt::format("Lodge command line tool {}\nUsing library: libvirt {}.{}.{}", LODGE_VERSION, library / 1000000,
                          library / 1000 % 1000, library % 1000)
                  .c_str());
}

constexpr int output_option = 1000;
constexpr option long_options[] = {
    {"connect", required_argument, nullptr, 'c'},
    {"debug", required_argument, nullptr, 'd'},
    {"escape", required_argument, nullptr, 'e'},
    {"help", no_argument, nullptr, 'h'},
    {"keepalive-interval", required_argument, nullptr, 'k'},
    {"keepalive-count", required_argument, nullptr, 'K'},
    {"log", required_argument, nullptr, 'l'},
    {"output", required_argument, nullptr, output_option},
    {"quiet", no_argument, nullptr, 'q'},
    {"readonly", no_argument, nullptr, 'r'},
    {"timing", no_argument, nullptr, 't'},
    {"version", optional_argument, nullptr, 'v'},
    {nullptr, 0, nullptr, 0},
};

[[noreturn]] void bad_option(char** argv, int letter) {
    if (letter == ':') {
        for (const auto& known : long_options)
            if (known.val == optopt && known.name)
                fail("option '-{}'/'--{}' requires an argument", static_cast<char>(optopt), known.name);
        fail("option '-{}' requires an argument", static_cast<char>(optopt));
    }
    if (optopt > 0 && optopt < 256) fail("unsupported option '-{}'. See --help.", static_cast<char>(optopt));
    fail("unsupported option '{}'. See --help.", argv[optind - 1]);
}

// True when all is done (--version, --help).
bool read_options(int argc, char** argv, Settings& settings) {
    opterr = 0;
    for (;;) {
        int letter = ::getopt_long(argc, argv, "+:c:d:e:hk:K:l:o:qrtvV", long_options, nullptr);
        switch (letter) {
        case -1: return false;
        case 'c': settings.uri = optarg; break;
        case 'd': settings.debug = number_of(optarg, "-d", 0); break;
        case 'e':
            escape_character(optarg);
            settings.escape = optarg;
            break;
        case 'h': std::fputs(usage().c_str(), stdout); return true;
        case 'k': settings.keepalive_interval = number_of(optarg, "-k", 0); break;
        case 'K': settings.keepalive_count = number_of(optarg, "-K", 0); break;
        case 'l': settings.log_file = optarg; break;
        case 'o':
        case output_option: settings.format = format_named(optarg); break;
        case 'q': settings.quiet = true; break;
        case 'r': settings.readonly = true; break;
        case 't': settings.timing = true; break;
        case 'v': print_version(optarg ? optarg : "short"); return true;
        case 'V': print_version("long"); return true;
        default: bad_option(argv, letter);
        }
    }
}

// lodge --complete WORD... PARTIAL, for packaging/completion/lodge: one candidate a line, '/' alone for file names.
int print_completions(Session& session, std::span<char*> arguments) {
    Words words(arguments.begin(), arguments.end());
    auto partial = words.empty() ? std::string() : words.back();
    if (!words.empty()) words.pop_back();
    auto found = complete(session, words, partial);
    for (const auto& word : found.candidates) std::puts(word.c_str());
    if (found.files) std::puts("/");
    return 0;
}

int run(int argc, char** argv) {
    Settings settings;
    if (const char* uri = std::getenv("VIRSH_DEFAULT_CONNECT_URI"); uri && *uri) settings.uri = uri;
    int first = argc;
    for (int i = 1; i < argc && first == argc; i++)
        if (!std::strcmp(argv[i], "--complete")) first = i;
    try {
        if (read_options(first, argv, settings)) return 0;
        Session session(settings);
        if (first < argc) return print_completions(session, {argv + first + 1, static_cast<size_t>(argc - first - 1)});
        if (optind == argc) return run_interactive(session);
        bool good = argc - optind == 1 ? session.run_line(argv[optind]) : session.run_words({Words(argv + optind, argv + argc)});
        return good ? 0 : 1;
    } catch (const Failure& failure) {
        std::fputs(fmt::format("error: {}\n", one_line(failure.what())).c_str(), stderr);
        return 1;
    }
}

} // namespace
} // namespace lodge::cli

int main(int argc, char** argv) {
    std::setlocale(LC_CTYPE, "");
    return lodge::cli::run(argc, argv);
}
