#include "daemon/store.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

using namespace lodge;
namespace store = daemon::store;

struct Folder {
    Folder() {
        char name[] = "/tmp/lodge-store-XXXXXX";
        path = mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

TEST_CASE("a file is replaced as a whole, folders are made") {
    Folder folder;
    const std::string file = folder.path + "/a/b/x.xml";
    store::replace_now(file, "one", true);
    store::replace_now(file, "two", true);
    CHECK(store::read_file(file) == "two");
    CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms::all) == std::filesystem::perms(0600));
    CHECK_FALSE(std::filesystem::exists(file + ".new"));
}

TEST_CASE("a file that cannot be replaced stays as it was") {
    Folder folder;
    const std::string file = folder.path + "/x.xml";
    std::filesystem::create_directory(file); // rename() of a file over a folder fails
    CHECK_THROWS_AS(store::replace_now(file, "text", true), rpc::Error);
    CHECK(std::filesystem::is_directory(file));
    CHECK_FALSE(std::filesystem::exists(file + ".new"));
}

TEST_CASE("a folder's documents are read, what cannot be read says why") {
    Folder folder;
    store::replace_now(folder.path + "/b.xml", "B", false);
    store::replace_now(folder.path + "/a.xml", "A", false);
    store::replace_now(folder.path + "/c.txt", "C", false);
    std::filesystem::create_directory(folder.path + "/d.xml");
    const auto files = store::read_folder(folder.path);
    REQUIRE(files.size() == 3);
    CHECK(files[0].name == "a");
    CHECK(files[1].text == "B");
    CHECK(files[2].error.find("is not a regular file") != std::string::npos);
    CHECK(store::read_folder(folder.path + "/absent").empty());
}
