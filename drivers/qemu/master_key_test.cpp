#include "drivers/qemu/master_key.hpp"
#include "tests/catch.hpp"
#include <openssl/evp.h>

using namespace lodge::drivers::qemu;

static std::vector<unsigned char> from_base64(const std::string& text) {
    std::vector<unsigned char> bytes(text.size());
    const int size =
        ::EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
}

TEST_CASE("a sealed secret opens with its key alone") {
    const MasterKey key = random_key();
    for (const std::string plain : {"", "x", "0123456789abcdef", "a passphrase that is longer than a block"}) {
        const SealedSecret sealed = seal(key, plain);
        const auto data = from_base64(sealed.data), iv = from_base64(sealed.iv);
        CHECK(data.size() >= plain.size() + 1);
        std::vector<unsigned char> out(data.size() + 16);
        EVP_CIPHER_CTX* cipher = ::EVP_CIPHER_CTX_new();
        int taken = 0, rest = 0;
        REQUIRE(::EVP_DecryptInit_ex(cipher, ::EVP_aes_256_cbc(), nullptr, key.data(), iv.data()) == 1);
        REQUIRE(::EVP_DecryptUpdate(cipher, out.data(), &taken, data.data(), static_cast<int>((plain.size() / 16 + 1) * 16)) ==
                1);
        REQUIRE(::EVP_DecryptFinal_ex(cipher, out.data() + taken, &rest) == 1);
        ::EVP_CIPHER_CTX_free(cipher);
        CHECK(std::string(out.begin(), out.begin() + taken + rest) == plain);
        CHECK(seal(key, plain).iv != sealed.iv);
    }
}
