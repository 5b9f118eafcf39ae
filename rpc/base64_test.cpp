#include "rpc/base64.hpp"
#include "tests/catch.hpp"

using namespace lodge::rpc;

TEST_CASE("base64 goes both ways") {
    CHECK(to_base64("") == "");
    CHECK(to_base64("f") == "Zg==");
    CHECK(to_base64("fo") == "Zm8=");
    CHECK(to_base64(std::string_view("\0\xff\x10", 3)) == "AP8Q");
    for (const char* text : {"", "f", "fo", "foo", "foob", "\xff\x01"}) CHECK(from_base64(to_base64(text)) == text);
    CHECK(from_base64("Zm9v\nYmFy\n") == "foobar");
    for (const char* bad : {"Zg=", "Z", "Zg??", "Zm8=Zm8=====", "===="}) CHECK_FALSE(from_base64(bad));
}
