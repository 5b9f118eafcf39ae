#include "tests/catch.hpp"
#include "xml/backup.hpp"
#include "xml/checkpoint.hpp"
#include "xml/snapshot.hpp"

namespace lodge::xml {

namespace {

// How often a check of the document refused what chance had made of it.
template<class T> unsigned refused_of(const char* root, unsigned documents) {
    const ReadOptions reading{.live = true, .private_ = true, .recorded = true, .from = From::domain_snapshot};
    const WriteOptions writing{.live = true, .secret = true, .private_ = true};
    unsigned refused = 0;
    for (unsigned seed = 0; seed < documents; ++seed) {
        Random random(seed);
        const auto text = format(random_value<T>(random), root, writing);
        INFO(text);
        try {
            const auto first = format(parse<T>(text, root, reading), root, writing);
            CHECK(format(parse<T>(first, root, reading), root, writing) == first);
        } catch (const rpc::Error& error) {
            CHECK(error.from() != From::none);
            ++refused;
        }
    }
    return refused;
}

} // namespace

TEST_CASE("random snapshots, checkpoints and backups survive writing and reading") {
    CHECK(refused_of<Snapshot>(snapshot_root, 300) < 300);
    CHECK(refused_of<Checkpoint>(checkpoint_root, 300) < 300);
    CHECK(refused_of<Backup>(backup_root, 300) < 300);
    CHECK(refused_of<SaveCookie>(save_cookie_root, 300) < 300);
}

} // namespace lodge::xml
