#include "drivers/qemu/master_key.hpp"
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <openssl/evp.h>
#include <sys/random.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

using rpc::Code;

namespace {

template<std::size_t size> void fill_random(std::array<unsigned char, size>& bytes) {
    if (::getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size)) rpc::fail_errno(errno, "cannot get random bytes");
}

std::string base64(const unsigned char* bytes, std::size_t size) {
    std::string text(4 * ((size + 2) / 3), 0);
    ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size));
    return text;
}

} // namespace

MasterKey random_key() {
    MasterKey key;
    fill_random(key);
    return key;
}

MasterKey read_master_key(const std::string& path) {
    const rpc::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    MasterKey key;
    if (!file || ::read(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()))
        rpc::fail_errno(errno, fmt::format("failed to read '{}'", path));
    return key;
}

SealedSecret seal(const MasterKey& key, std::string_view plain) {
    std::array<unsigned char, 16> iv;
    fill_random(iv);
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&::EVP_CIPHER_CTX_free)> cipher(::EVP_CIPHER_CTX_new(), ::EVP_CIPHER_CTX_free);
    std::vector<unsigned char> sealed(plain.size() + iv.size()); // room for the padding
    int taken = 0, rest = 0;
    const auto* in = reinterpret_cast<const unsigned char*>(plain.data());
    if (!cipher || ::EVP_EncryptInit_ex(cipher.get(), ::EVP_aes_256_cbc(), nullptr, key.data(), iv.data()) != 1 ||
        ::EVP_EncryptUpdate(cipher.get(), sealed.data(), &taken, in, static_cast<int>(plain.size())) != 1 ||
        ::EVP_EncryptFinal_ex(cipher.get(), sealed.data() + taken, &rest) != 1)
        rpc::fail(Code::internal_error, "cannot encrypt a secret for QEMU");
    return {base64(sealed.data(), static_cast<std::size_t>(taken + rest)), base64(iv.data(), iv.size())};
}

} // namespace lodge::drivers::qemu
