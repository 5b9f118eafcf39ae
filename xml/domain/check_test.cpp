#include "tests/catch.hpp"
#include "xml/domain/check.hpp"
#include "xml/domain/domain.hpp"
#include "xml/number_set.hpp"

namespace lodge::xml {

TEST_CASE("sets of numbers are read as libvirt reads them") {
    CHECK(parse_number_set("0-3,^2,5") == NumberSet{0, 1, 3, 5});
    CHECK(parse_number_set("0,^0") == NumberSet{});
    CHECK(parse_number_set("^0") == NumberSet{});
    for (const auto* text : {"", "z", "3-1", "1-", "1,,2", "-1", "0-99999999", "1;2"}) CHECK_FALSE(parse_number_set(text));
}

TEST_CASE("memory devices may be larger than what the cells have") {
    const auto domain = [](const char* more) {
        return fmt::format("<domain type='qemu'><name>a</name><memory>65536</memory><maxMemory slots='2'>1048576</maxMemory>"
                           "<os><type>hvm</type></os>{}<devices><memory model='dimm'><target><size>131072</size><node>0</node>"
                           "</target></memory></devices></domain>",
                           more);
    };
    CHECK_THROWS_AS(check_domain(parse_domain(domain(""), {})), rpc::Error);
    CHECK_NOTHROW(check_domain(parse_domain(domain("<cpu><numa><cell id='0' cpus='0' memory='65536'/></numa></cpu>"), {})));
}

} // namespace lodge::xml
