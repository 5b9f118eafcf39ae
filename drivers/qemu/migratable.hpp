// The document of a guest that goes to another host, or into a file.
#pragma once
#include <string>

namespace lodge::xml {
struct Domain;
}

namespace lodge::drivers::qemu {

// Takes out what its completion adds again, so that older versions may read it. `lib`: below it are sockets whose place the host
// chose.
void make_migratable(xml::Domain& domain, const std::string& lib);

} // namespace lodge::drivers::qemu
