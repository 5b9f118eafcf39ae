// lodge_leaseshelper: run by dnsmasq for each lease. Small on purpose: it starts in a millisecond.
#include "drivers/network/lease_file.hpp"
#include <cstdio>
#include <cstdlib>
#include <exception>

int main(int count, char** words) {
    try {
        std::string out;
        const int status =
            lodge::drivers::lease_helper({words + 1, words + count}, [](const char* name) { return getenv(name); }, out);
        std::fwrite(out.data(), 1, out.size(), stdout);
        return status;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "lodge_leaseshelper: %s\n", error.what());
        return 1;
    }
}
