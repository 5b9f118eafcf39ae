#include "cli/keys.hpp"
#include "cli/commands.hpp"
#include "cli/lookup.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace lodge::cli {

namespace {

std::optional<int> codeset_named(std::string_view name) {
    // in the order of libvirt's numbers
    constexpr std::string_view names[] = {"linux", "xt", "atset1", "atset2", "atset3", "os_x", "xt_kbd", "usb", "win32", "qnum"};
    const auto* it = std::ranges::find(names, name);
    if (it == std::end(names)) return {};
    return static_cast<int>(it - names);
}

unsigned key_of(const std::string& word, int codeset) {
    unsigned code = 0;
    int base = word.starts_with("0x") ? 16 : 10;
    const char* digits = word.data() + (base == 16 ? 2 : 0);
    auto [end, error] = std::from_chars(digits, word.data() + word.size(), code, base);
    if (error == std::errc() && end == word.data() + word.size() && code <= 0xffff) return code;
    if (auto named = codeset == VIR_KEYCODE_SET_LINUX ? linux_key(word) : std::nullopt) return *named;
    fail("invalid keycode: '{}'", word);
}

void send_key(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto codeset_word = arguments.text("codeset", "linux");
    auto codeset = codeset_named(codeset_word);
    if (!codeset) fail("unknown codeset: '{}'", codeset_word);
    auto hold = arguments.number<unsigned>("holdtime").value_or(0);
    std::vector<unsigned> codes;
    for (const auto& word : arguments.rest("keycode")) {
        if (codes.size() == VIR_DOMAIN_SEND_KEY_MAX_KEYS) fail("{}", "too many keycodes");
        codes.push_back(key_of(word, *codeset));
    }
    check(virDomainSendKey(domain.get(), static_cast<unsigned>(*codeset), hold, codes.data(), static_cast<int>(codes.size()), 0));
}

void inject_nmi(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    check(virDomainInjectNMI(domain.get(), 0));
}

std::string default_file(const char* domain, std::string_view mime) {
    std::string_view ending = mime == "image/x-portable-pixmap" ? ".ppm" : mime == "image/png" ? ".png" : "";
    auto now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char when[32];
    std::strftime(when, sizeof when, "%Y-%m-%d-%H:%M:%S", &parts);
    return fmt::format("{}-{}{}", domain, when, ending);
}

int write_to_fd(virStreamPtr, const char* bytes, size_t length, void* fd) {
    return static_cast<int>(::write(*static_cast<int*>(fd), bytes, length));
}

void screenshot(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto screen = arguments.number<unsigned>("screen").value_or(0);
    Stream stream(virStreamNew(session.connection(), 0));
    if (!stream) fail_with_cause();
    Text mime(virDomainScreenshot(domain.get(), stream.get(), screen, 0));
    if (!mime) fail_with_cause("could not take a screenshot of {}", virDomainGetName(domain.get()));
    auto file = arguments.text("file").value_or(default_file(virDomainGetName(domain.get()), mime.get()));

    int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool created = fd >= 0;
    if (!created && errno == EEXIST) fd = ::open(file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) fail("cannot create file {}: {}", file, std::strerror(errno));
    bool received = virStreamRecvAll(stream.get(), write_to_fd, &fd) == 0;
    bool closed = ::close(fd) == 0;
    if (!received || !closed) {
        if (created) ::unlink(file.c_str());
        if (!received) fail_with_cause("could not receive data from domain '{}'", virDomainGetName(domain.get()));
        fail("cannot close file {}", file);
    }
    check(virStreamFinish(stream.get()), "cannot close stream on domain '{}'", virDomainGetName(domain.get()));
    session.extra("Screenshot saved to {}, with type of {}", file, mime.get());
}

} // namespace

const std::vector<Command>& keys_commands() {
    static const std::vector<Command> rows = {
        {.name = "send-key",
         .group = Group::domain,
         .help = "Send keycodes to the guest",
         .description = "Send keycodes (integers or symbolic names) to the guest",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     text("codeset", "the codeset of keycodes, default:linux")
                         .named()
                         .choices("linux xt atset1 atset2 atset3 os_x xt_kbd usb win32 qnum"),
                     number("holdtime", "the time (in milliseconds) how long the keys will be held").named(),
                     rest("keycode", "the key code", true)},
         .run = send_key},
        {.name = "inject-nmi",
         .group = Group::domain,
         .help = "Inject NMI to the guest",
         .description = "Inject NMI to the guest domain.",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain)},
         .run = inject_nmi},
        {.name = "screenshot",
         .group = Group::domain,
         .help = "take a screenshot of a current domain console and store it into a file",
         .description = "screenshot of a current domain console",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     text("file", "where to store the screenshot").completed(Complete::file),
                     number("screen", "ID of a screen to take screenshot of")},
         .run = screenshot},
    };
    return rows;
}

} // namespace lodge::cli
