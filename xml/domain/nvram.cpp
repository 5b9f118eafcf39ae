#include "xml/domain/nvram.hpp"

namespace lodge::xml {

void describe(Doc& doc, Nvram& nvram) { describe_info(doc, nvram.info); }

} // namespace lodge::xml
