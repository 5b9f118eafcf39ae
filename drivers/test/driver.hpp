// Guests that exist only in memory: test:///default. The second implementation of the driver interface, which proves that nothing
// of QEMU is in it; and fast tests of everything that is the same for every hypervisor.
#pragma once
#include "drivers/driver.hpp"

namespace lodge::drivers::test {

std::unique_ptr<Driver> make_driver(Executor executor);

} // namespace lodge::drivers::test
