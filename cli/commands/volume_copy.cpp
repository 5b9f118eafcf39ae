// A volume's bytes to and from a file of this side, with or without its holes.
#include "cli/commands.hpp"
#include "cli/fd.hpp"
#include "cli/lookup.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::cli {

namespace {

// The callbacks of libvirt's stream helpers: 0 or a count for success, -1 with errno for failure.

int read_file(virStreamPtr, char* bytes, std::size_t count, void* opaque) {
    return static_cast<int>(::read(*static_cast<int*>(opaque), bytes, count));
}

int write_file(virStreamPtr, const char* bytes, std::size_t count, void* opaque) {
    return static_cast<int>(::write(*static_cast<int*>(opaque), bytes, count));
}

int skip_in_source(virStreamPtr, long long length, void* opaque) {
    return ::lseek(*static_cast<int*>(opaque), length, SEEK_CUR) < 0 ? -1 : 0;
}

// A hole at the end leaves a file that is too short by it.
int skip_in_sink(virStreamPtr, long long length, void* opaque) {
    const int fd = *static_cast<int*>(opaque);
    const off_t at = ::lseek(fd, length, SEEK_CUR);
    struct stat info{};
    if (at < 0 || ::fstat(fd, &info) < 0) return -1;
    return S_ISREG(info.st_mode) && info.st_size < at ? ::ftruncate(fd, at) : 0;
}

// Whether bytes or a hole come next, and how long that is.
int in_data(virStreamPtr, int* data, long long* length, void* opaque) {
    const int fd = *static_cast<int*>(opaque);
    const off_t here = ::lseek(fd, 0, SEEK_CUR);
    if (here < 0) return -1;
    const off_t end = ::lseek(fd, 0, SEEK_END);
    off_t next = ::lseek(fd, here, SEEK_DATA);
    if (next < 0 && errno == ENXIO) next = end; // nothing but a hole
    if (next < 0 || end < 0) return -1;
    *data = next == here && here < end;
    if (*data) next = ::lseek(fd, here, SEEK_HOLE);
    if (next < 0 || ::lseek(fd, here, SEEK_SET) < 0) return -1;
    *length = next - here;
    return 0;
}

struct Range {
    unsigned long long offset, length;
};
Range range_of(const Arguments& arguments) {
    return {arguments.number<unsigned long long>("offset").value_or(0),
            static_cast<unsigned long long>(arguments.number<long long>("length").value_or(0))};
}

Stream new_stream(Session& session) {
    Stream stream(virStreamNew(session.connection(), 0));
    if (!stream) fail_with_cause("{}", "cannot create a new stream");
    return stream;
}

void upload(Session& session, const Arguments& arguments) {
    const auto [offset, length] = range_of(arguments);
    auto volume = find_volume(session, arguments);
    const auto& name = arguments.required("vol");
    const auto& path = arguments.required("file");
    const bool sparse = arguments.has("sparse");
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) fail("cannot read {}", path);
    auto stream = new_stream(session);
    check(virStorageVolUpload(volume.get(), stream.get(), offset, length, sparse ? VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM : 0),
          "cannot upload to volume {}", name);
    int fd = file.get();
    check(sparse ? virStreamSparseSendAll(stream.get(), read_file, in_data, skip_in_source, &fd)
                 : virStreamSendAll(stream.get(), read_file, &fd),
          "cannot send data to volume {}", name);
    check(virStreamFinish(stream.get()), "cannot close volume {}", name);
}

void download(Session& session, const Arguments& arguments) {
    const auto [offset, length] = range_of(arguments);
    auto volume = find_volume(session, arguments);
    const auto& name = arguments.required("vol");
    const auto& path = arguments.required("file");
    const bool made = ::access(path.c_str(), F_OK) != 0;
    try {
        Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
        if (!file) fail("cannot create {}", path);
        auto stream = new_stream(session);
        check(virStorageVolDownload(volume.get(), stream.get(), offset, length,
                                    arguments.has("sparse") ? VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM : 0),
              "cannot download from volume {}", name);
        int fd = file.get();
        check(virStreamSparseRecvAll(stream.get(), write_file, skip_in_sink, &fd), "cannot receive data from volume {}", name);
        if (!file.close()) fail("cannot close file {}", path);
        check(virStreamFinish(stream.get()), "cannot close volume {}", name);
    } catch (const Failure&) {
        if (made) ::unlink(path.c_str());
        throw;
    }
}

std::vector<Option> options(std::string_view file_help, std::string_view offset_help, std::string_view length_help) {
    return {need("vol", "vol name, key or path"),
            need("file", file_help, Complete::file),
            text("pool", "pool name or uuid").completed(Complete::pool),
            number("offset", offset_help),
            number("length", length_help),
            flag("sparse", "preserve sparseness of volume")};
}

} // namespace

const std::vector<Command>& volume_copy_commands() {
    static const std::vector<Command> rows = {
        {.name = "vol-upload",
         .group = Group::volume,
         .help = "upload file contents to a volume",
         .description = "Upload file contents to a volume",
         .options = options("file", "volume offset to upload to", "amount of data to upload"),
         .run = upload},
        {.name = "vol-download",
         .group = Group::volume,
         .help = "download volume contents to a file",
         .description = "Download volume contents to a file",
         .options = options("file", "volume offset to download from", "amount of data to download"),
         .run = download},
    };
    return rows;
}

} // namespace lodge::cli
