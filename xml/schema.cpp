#include "xml/schema.hpp"
#include "rpc/error.hpp"
#include <cstdarg>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/tree.h>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace lodge::xml {

namespace {

using rpc::Code;
using rpc::From;

template<auto function> struct Free {
    template<class T> void operator()(T* object) const { function(object); }
};
using DocPtr = std::unique_ptr<xmlDoc, Free<xmlFreeDoc>>;
using RngPtr = std::unique_ptr<xmlRelaxNG, Free<xmlRelaxNGFree>>;
using RngParserPtr = std::unique_ptr<xmlRelaxNGParserCtxt, Free<xmlRelaxNGFreeParserCtxt>>;
using RngValidPtr = std::unique_ptr<xmlRelaxNGValidCtxt, Free<xmlRelaxNGFreeValidCtxt>>;

// What libxml2 reports goes into the std::string behind `into`.
void append_message(void* into, const char* format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    static_cast<std::string*>(into)->append(line);
}
void ignore_message(void*, const char*, ...) {}

// Schemas are read once and then only looked at, by any thread.
xmlRelaxNG* schema_at(const std::string& path) {
    static std::mutex mutex;
    static std::map<std::string, RngPtr> known;
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(path); found != known.end()) return found->second.get();
    xmlInitParser();
    std::string messages;
    const RngParserPtr parser(xmlRelaxNGNewParserCtxt(path.c_str()));
    if (!parser) rpc::fail(From::xml, Code::internal_error, "Unable to create RNG parser for {}", path);
    xmlRelaxNGSetParserErrors(parser.get(), append_message, ignore_message, &messages);
    RngPtr schema(xmlRelaxNGParse(parser.get()));
    if (!schema) rpc::fail(From::xml, Code::internal_error, "Unable to parse RNG {}: {}", path, messages);
    return known.emplace(path, std::move(schema)).first->second.get();
}

// libxml2 reports the outermost element that does not fit. To find what is to blame, parts are taken out one by one until the
// rest is valid: then the fault lies in the part.
class Search {
  public:
    Search(xmlRelaxNG* schema, xmlDoc* doc)
        : schema_(schema)
        , doc_(doc) {}

    bool is_valid(std::string* messages = nullptr) {
        const RngValidPtr context(xmlRelaxNGNewValidCtxt(schema_));
        xmlRelaxNGSetValidErrors(context.get(), messages ? append_message : ignore_message, ignore_message, messages);
        ++tried_;
        return xmlRelaxNGValidateDoc(context.get(), doc_) == 0;
    }

    // "attribute 'model' of element 'watchdog' (line 12)"; empty: no single part is to blame.
    std::string culprit() {
        xmlNode* blamed = nullptr;
        for (xmlNode* next = faulty_child(xmlDocGetRootElement(doc_)); next; next = faulty_child(next)) blamed = next;
        if (!blamed) return {};
        const auto* name = reinterpret_cast<const char*>(blamed->name);
        const auto line = xmlGetLineNo(blamed);
        for (auto* attribute = blamed->properties; attribute; attribute = attribute->next)
            if (is_valid_without(blamed, attribute))
                return fmt::format("attribute '{}' of element '{}' (line {})", reinterpret_cast<const char*>(attribute->name),
                                   name, line);
        return fmt::format("element '{}' (line {})", name, line);
    }

  private:
    static constexpr unsigned most_tries = 400;

    xmlNode* faulty_child(xmlNode* parent) {
        for (auto* child = parent->children; child && tried_ < most_tries; child = child->next)
            if (child->type == XML_ELEMENT_NODE && is_valid_without(child)) return child;
        return nullptr;
    }

    bool is_valid_without(xmlNode* child) {
        xmlNode* place = xmlNewText(reinterpret_cast<const xmlChar*>(" "));
        xmlReplaceNode(child, place); // the tree keeps its shape, so it can be put back
        const bool valid = is_valid();
        xmlReplaceNode(place, child);
        xmlFreeNode(place);
        return valid;
    }

    bool is_valid_without(xmlNode* element, xmlAttr* attribute) {
        // Out of the list for the moment of one look; the list's links are all that changes.
        auto** link = &element->properties;
        while (*link != attribute) link = &(*link)->next;
        *link = attribute->next;
        const bool valid = is_valid();
        *link = attribute;
        return valid;
    }

    xmlRelaxNG* schema_;
    xmlDoc* doc_;
    unsigned tried_ = 0;
};

} // namespace

// A schema is named after what it describes, but for these.
static bool has_root_of(std::string_view schema, xmlDoc* doc) {
    static constexpr std::pair<std::string_view, std::string_view> roots[] = {{"storagepool", "pool"},
                                                                              {"storagevol", "volume"},
                                                                              {"nodedev", "device"},
                                                                              {"nwfilter", "filter"},
                                                                              {"nwfilterbinding", "filterbinding"}};
    schema.remove_suffix(std::string_view(".rng").size());
    for (const auto& [name, root] : roots)
        if (schema == name) schema = root;
    const auto* root = xmlDocGetRootElement(doc);
    return root && schema == reinterpret_cast<const char*>(root->name);
}

void validate_schema(std::string_view text, const char* schema) {
    const std::string path = fmt::format("{}/{}", schema_folder, schema);
    auto* const rules = schema_at(path);
    const DocPtr doc(xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, nullptr,
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING));
    if (!doc || !has_root_of(schema, doc.get())) return; // the reader says so, in its own words
    Search search(rules, doc.get());
    std::string messages;
    if (search.is_valid(&messages)) return;
    const auto culprit = search.culprit();
    rpc::fail(From::xml, Code::xml_invalid_schema, "Unable to validate doc against {}\n{}{}", path, messages,
              culprit.empty() ? "" : fmt::format("The fault lies in {}\n", culprit));
}

} // namespace lodge::xml
