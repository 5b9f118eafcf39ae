#include "rpc/codec.hpp"
#include "rpc/generated/admin.hpp"
#include "rpc/generated/remote.hpp"
#include "tests/catch.hpp"

using namespace lodge::rpc;

template<class T> static std::string bytes_of(const T& value) {
    std::string out;
    Encoder io(out);
    io(value);
    return out;
}
template<class T> static T value_of(std::string_view bytes) {
    T value{};
    Decoder io(bytes);
    io(value);
    CHECK(io.left() == 0);
    return value;
}

TEST_CASE("a struct comes back as it went") {
    remote::DomainGetJobStatsRet ret{2,
                                     {{"int", std::int32_t{-5}},
                                      {"uint", 7u},
                                      {"long", std::int64_t{-1} << 40},
                                      {"ulong", ~std::uint64_t{0}},
                                      {"double", 1.5},
                                      {"bool", true},
                                      {"text", std::string("x\0y", 3)}}};
    CHECK(value_of<remote::DomainGetJobStatsRet>(bytes_of(ret)) == ret);
    remote::NodeGetInfoRet node;
    std::copy_n("x86_64", 6, node.model.begin());
    node.memory = 1ull << 40;
    const auto bytes = bytes_of(node);
    CHECK(bytes.size() == 32 * 4 + 8 + 6 * 4); // each char takes four bytes
    CHECK(value_of<remote::NodeGetInfoRet>(bytes) == node);
}

TEST_CASE("bytes are as RFC 4506 has them") {
    CHECK(bytes_of(remote::DomainLookupByNameArgs{"abc"}) == std::string("\0\0\0\3abc\0", 8));
    CHECK(bytes_of(remote::ConnectOpenArgs{std::nullopt, 1}) == std::string("\0\0\0\0\0\0\0\1", 8));
    Uuid uuid = *Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
    CHECK(bytes_of(remote::DomainLookupByUuidArgs{uuid}) ==
          std::string("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16));
}

TEST_CASE("a lying length is refused before memory is taken") {
    using Args = remote::DomainLookupByNameArgs;
    CHECK_THROWS_AS(value_of<Args>(std::string_view("\xff\xff\xff\xff", 4)), DecodeError);
    CHECK_THROWS_AS(value_of<Args>(std::string_view("\0\0\0\5abc\0", 8)), DecodeError);
    CHECK_THROWS_AS(value_of<Args>(std::string_view("\0\0", 2)), DecodeError);
    // 16384 domains announced, none there
    CHECK_THROWS_AS(value_of<remote::ConnectListAllDomainsRet>(std::string_view("\0\0\x40\0", 4)), DecodeError);
    // an optional must be 0 or 1
    CHECK_THROWS_AS(value_of<remote::ConnectOpenArgs>(std::string_view("\0\0\0\2\0\0\0\0", 8)), DecodeError);
    // a typed parameter's tag is 1 to 7
    CHECK_THROWS_AS(value_of<TypedParam>(std::string_view("\0\0\0\1a\0\0\0\0\0\0\x8\0\0\0\0", 16)), DecodeError);
}

TEST_CASE("what is too long does not leave") {
    remote::ConnectListDefinedDomainsRet names;
    names.names.resize(16385);
    std::string out;
    Encoder io(out);
    CHECK_THROWS_AS(io(names), Error);
}

TEST_CASE("every prefix of a message is refused without a crash") {
    remote::DomainEventGraphicsMsg message;
    message.dom = {"guest", Uuid::random(), 3};
    message.subject = {{"a", "b"}, {"c", "d"}};
    const auto bytes = bytes_of(message);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_THROWS_AS(value_of<remote::DomainEventGraphicsMsg>(std::string_view(bytes).substr(0, size)), DecodeError);
}
