#include "xml/moment.hpp"

namespace lodge::xml {

void describe_parent(Doc& doc, Moment& moment) {
    doc.group("parent", [&] { doc.text_child("name", moment.parent); }, Mark::recorded);
}

} // namespace lodge::xml
