#include "drivers/qemu/save_image.hpp"
#include "tests/catch.hpp"
#include <sys/mman.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

rpc::Fd file_with(const std::string& bytes) {
    rpc::Fd fd(::memfd_create("image", MFD_CLOEXEC));
    REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    return fd;
}

SaveImage example() {
    SaveImage image;
    image.head = {"<domain/>", "<cookie/>", true};
    image.format = StreamFormat::xz;
    image.complete = true;
    return image;
}

std::string refusal(const std::string& bytes) {
    try {
        read_image(file_with(bytes).get());
    } catch (const rpc::Error& error) {
        CHECK(error.code() == rpc::Code::operation_failed);
        return error.detail();
    }
    return "";
}

} // namespace

TEST_CASE("the head of a save image is libvirt's") {
    auto image = example();
    const auto bytes = encode(image);
    CHECK(bytes.starts_with("LibvirtQemudSave"));
    CHECK(bytes.size() == image.stream_at());
    CHECK(image.stream_at() == 92 + 10 + 10 + 65536);
    CHECK(bytes.substr(92, 10) == std::string("<domain/>\0", 10));
    const auto back = read_image(file_with(bytes).get());
    CHECK(back.head.domain == "<domain/>");
    CHECK(back.head.cookie == "<cookie/>");
    CHECK(back.head.running);
    CHECK(back.complete);
    CHECK(back.format == StreamFormat::xz);
}

TEST_CASE("a document may grow into its room and no further") {
    auto image = example();
    encode(image);
    image.head.domain.assign(60'000, 'x');
    CHECK(encode(image).size() == image.stream_at());
    image.head.domain.assign(70'000, 'x');
    CHECK_THROWS_AS(encode(image), rpc::Error);
}

TEST_CASE("what is no image is refused") {
    auto image = example();
    const auto bytes = encode(image);
    CHECK(refusal("short") == "failed to read qemu header");
    CHECK(refusal(std::string(200, 'x')) == "image magic is incorrect");
    CHECK(refusal(bytes.substr(0, 100)) == "failed to read domain XML");
    auto newer = bytes;
    newer[16] = 9;
    CHECK(refusal(newer).starts_with("image version is not supported"));
    auto endless = bytes;
    endless[23] = 0x7f;
    CHECK(refusal(endless).starts_with("invalid header data length"));
    auto partial = bytes;
    partial.replace(0, 16, magic(false));
    CHECK(!read_image(file_with(partial).get()).complete);
}

} // namespace lodge::drivers::qemu
