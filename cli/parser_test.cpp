#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/parser.hpp"
#include "tests/catch.hpp"

#include <set>

using namespace lodge::cli;

namespace {

Arguments parsed(std::string_view line) {
    auto words = split_line(line).at(0);
    const auto* command = find_command(words.front());
    REQUIRE(command);
    return parse(*command, std::span(words).subspan(1));
}

std::string refusal(std::string_view line) {
    try {
        parsed(line);
    } catch (const Failure& failure) {
        return failure.what();
    }
    return "accepted";
}

} // namespace

TEST_CASE("a line is split into commands and words as a shell would") {
    CHECK(split_line("list --all; domid 'a b'") == std::vector<Words>{{"list", "--all"}, {"domid", "a b"}});
    CHECK(split_line("echo \"a\\\"b\" c\\ d 'x\\y'") == std::vector<Words>{{"echo", "a\"b", "c d", "x\\y"}});
    CHECK(split_line("uri # the rest; is a comment\nversion") == std::vector<Words>{{"uri"}, {"version"}});
    CHECK(split_line("echo '' a#b") == std::vector<Words>{{"echo", "", "a#b"}});
    CHECK(split_line(" ;; \n ").empty());
    CHECK_THROWS_WITH(split_line("echo \"a"), "missing \"");
    CHECK_THROWS_WITH(split_line("echo a\\"), "dangling \\");
}

TEST_CASE("words become options by name or by place") {
    auto args = parsed("start --paused guest --console");
    CHECK(args.required("domain") == "guest");
    CHECK(args.flag("paused"));
    CHECK_FALSE(args.flag("autodestroy"));
    CHECK(parsed("start --domain=guest").required("domain") == "guest");
    CHECK(parsed("screenshot guest file.png 1").number<unsigned>("screen") == 1u);
    CHECK(parsed("dumpxml -- --odd-name").required("domain") == "--odd-name");
    auto sent = parsed("send-key guest --codeset xt KEY_A 30 --keycode 31");
    auto keys = sent.rest("keycode");
    CHECK(std::vector(keys.begin(), keys.end()) == Words{"KEY_A", "30", "31"});
}

TEST_CASE("the output format may stand on the command") {
    CHECK(parsed("list -o json").format == Format::json);
    CHECK(parsed("list --output=json").format == Format::json);
    CHECK(parsed("list --output text").format == Format::text);
    CHECK_FALSE(parsed("list").format);
    CHECK(refusal("list -o xml") == "unknown output format 'xml', expecting 'text' or 'json'");
}

TEST_CASE("what is wrong is said in virsh's words") {
    CHECK(refusal("list --foo") == "command 'list' doesn't support option --foo");
    CHECK(refusal("list foo") == "unexpected data 'foo'");
    CHECK(refusal("dominfo") == "command 'dominfo' requires <domain> option");
    CHECK(refusal("setmem test") == "command 'setmem' requires --size option");
    CHECK(refusal("dominfo test --domain test") == "option --domain already seen");
    CHECK(refusal("domid --domain") == "expected syntax: --domain <string>");
    CHECK(refusal("event --timeout") == "expected syntax: --timeout <number>");
    CHECK(refusal("list --all=3") == "invalid '=' after option --all");
}

TEST_CASE("numbers are checked") {
    CHECK(parsed("event --timeout 5").number<unsigned>("timeout") == 5u);
    CHECK_THROWS_WITH(parsed("event --timeout abc").number<unsigned>("timeout"),
                      "Numeric value 'abc' for <timeout> option is malformed or out of range");
    CHECK_THROWS(parsed("event --timeout -1").number<unsigned>("timeout"));
    CHECK_THROWS(parsed("event --timeout 99999999999").number<int>("timeout"));
    CHECK(parsed("setmem x 2").scaled("size", 1024) == 2048u);
    CHECK(parsed("setmem x 1G").scaled("size", 1024) == 1u << 30);
    CHECK(parsed("setmem x 5MB").scaled("size", 1024) == 5000000u);
    CHECK(parsed("setmem x 5MiB").scaled("size", 1024) == 5u << 20);
    CHECK(parsed("setmem x 700b").scaled("size", 1024) == 700u);
    CHECK_THROWS(parsed("setmem x 5X").scaled("size", 1024));
    CHECK_THROWS(parsed("setmem x 99999999999999999999").scaled("size", 1024));
    CHECK_THROWS(parsed("setmem x 99999999999999P").scaled("size", 1024));
}

TEST_CASE("options that exclude or need each other") {
    CHECK_THROWS_WITH(parsed("setmem x 1 --live --current").exclusive("live", "current"),
                      "Options --live and --current are mutually exclusive");
    CHECK_THROWS_WITH(parsed("undefine x --wipe-storage").requires_option("wipe-storage", "remove-all-storage"),
                      "Option --remove-all-storage is required by option --wipe-storage");
}

TEST_CASE("the table of commands is sound") {
    std::set<std::string_view> names;
    for (const auto* command : all_commands()) {
        CAPTURE(command->name);
        CHECK(names.insert(command->name).second);
        CHECK(command->run);
        CHECK_FALSE(command->help.empty());
        std::set<std::string_view> options;
        for (const auto& option : command->options) {
            CAPTURE(option.name);
            CHECK(options.insert(option.name).second);
            CHECK_FALSE(option.help.empty());
            CHECK((option.complete == Complete::words) == !option.words.empty());
        }
        CHECK(help_of(*command).find(command->name) != std::string::npos);
    }
}
