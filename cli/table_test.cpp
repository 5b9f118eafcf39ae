#include "cli/session.hpp"
#include "cli/table.hpp"
#include "tests/catch.hpp"

#include <clocale>

using namespace lodge::cli;

TEST_CASE("a table is laid out as virsh does") {
    Table table({{"id", "Id"}, {"name", "Name"}, {"state", "State"}, {"uuid", ""}});
    table.add({1, "test", "running", "u1"});
    table.add({"-", "longer", "shut off", "u2"});
    CHECK(table.text(false) == " Id   Name     State\n"
                               "-------------------------\n"
                               " 1    test     running\n"
                               " -    longer   shut off\n");
    CHECK(table.text(true) == " 1   test     running\n -   longer   shut off\n");
    CHECK(table.json().dump() ==
          R"([{"id":1,"name":"test","state":"running","uuid":"u1"},{"id":null,"name":"longer","state":"shut off","uuid":"u2"}])");
}

TEST_CASE("an empty table has its headline, and is an empty list in JSON") {
    Table table({{"name", "Name"}, {"state", "State"}});
    CHECK(table.text(false) == " Name   State\n---------------\n");
    CHECK(table.text(true).empty());
    CHECK(table.json().dump() == "[]");
}

TEST_CASE("wide and broken characters keep the columns straight") {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    CHECK(display_width("日本") == 4);
    CHECK(display_width("é") == 1);
    CHECK(printable("a\x01\xff") == "a\\x01\\xff");
    Table table({{"a", "A"}, {"b", "B"}});
    table.add({"日本", "x"});
    CHECK(table.text(false) == " A      B\n-----------\n 日本   x\n");
}

TEST_CASE("key and value lists") {
    Pairs pairs;
    pairs.add("name", "Name:", "x");
    pairs.add("memory_kib", "Max memory:", {"5 KiB", 5});
    pairs.add_hidden("more", Json::array({1, 2}));
    CHECK(pairs.text() == "Name:           x\nMax memory:     5 KiB\n");
    CHECK(pairs.json().dump() == R"({"name":"x","memory_kib":5,"more":[1,2]})");
}

TEST_CASE("a cause of several lines becomes one") {
    CHECK(one_line("first\nsecond   third\n") == "first second third");
    CHECK(one_line("") == "");
}
