#include "tests/catch.hpp"
#include "xml/number_set.hpp"

namespace lodge::xml {

TEST_CASE("sets of numbers are read as libvirt reads them") {
    CHECK(parse_number_set("0-3,^2,5") == NumberSet{0, 1, 3, 5});
    CHECK(parse_number_set("0,^0") == NumberSet{});
    CHECK(parse_number_set("^0") == NumberSet{});
    for (const auto* text : {"", "z", "3-1", "1-", "1,,2", "-1", "0-99999999", "1;2"}) CHECK_FALSE(parse_number_set(text));
}

} // namespace lodge::xml
