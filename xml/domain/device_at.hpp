#pragma once
#include <cstddef>

namespace lodge::xml {

// Where a device stands in a document: its kind (its place in the variant Device) and its place among its like.
struct DeviceAt {
    std::size_t kind = 0, place = 0;
};

} // namespace lodge::xml
