#include "daemon/config.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"

using lodge::daemon::ConfigFile;

TEST_CASE("configuration in libvirt's form is read") {
    auto file = ConfigFile::parse("# a comment\nname = \"value\" # behind\nnumber = 5\nlist = [ \"a\", 'b',\n \"c\" ]\nother=1\n",
                                  "x.conf");
    std::string name;
    int number = 0;
    std::vector<std::string> list;
    file.read("name", name);
    file.read("number", number);
    file.read("list", list);
    CHECK(name == "value");
    CHECK(number == 5);
    CHECK(list == std::vector<std::string>{"a", "b", "c"});
    CHECK(file.unknown() == std::vector<std::string>{"other"});
}

TEST_CASE("what is wrong in a configuration is named with its line") {
    auto message = [](const char* text) -> std::string {
        try {
            ConfigFile::parse(text, "x.conf");
        } catch (const lodge::rpc::Error& error) {
            return error.detail();
        }
        return "accepted";
    };
    CHECK(message("a = 1\nb 2\n") == "x.conf:2: expecting an assignment");
    CHECK(message("a = \"open\n") == "x.conf:1: unterminated string");
    CHECK(message("a = \n") == "x.conf:1: expecting a value");
    CHECK(message("a = [ 1 ]") == "x.conf:1: expecting a string");
    int number = 0;
    CHECK_THROWS_AS(ConfigFile::parse("a = \"text\"\n", "x.conf").read("a", number), lodge::rpc::Error);
}
