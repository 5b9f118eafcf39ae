#include "daemon/footprint.hpp"
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace lodge::daemon {

// Segments that nobody may write into are the same as their file, so they can be read again from there.
static int drop_pages(dl_phdr_info* object, std::size_t, void*) {
    const auto page = static_cast<ElfW(Addr)>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W)) continue;
        const auto begin = (object->dlpi_addr + segment.p_vaddr) / page * page;
        const auto end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED); // advice: nothing is lost when it is not taken
    }
    return 0;
}

void shrink_footprint() {
    ::malloc_trim(0);
    ::dl_iterate_phdr(drop_pages, nullptr);
}

} // namespace lodge::daemon
