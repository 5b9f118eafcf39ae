#include "xml/malformed.hpp"
#include <cstring>
#include <set>

namespace lodge::xml {

namespace {

constexpr unsigned max_depth = 256;

// The length of the UTF-8 sequence at `at`, 0 when it is broken.
std::size_t sequence_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned char lead = byte(0);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || at + length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    if (lead == 0xe0 && byte(1) < 0xa0) return 0; // overlong
    if (lead == 0xed && byte(1) > 0x9f) return 0; // surrogates
    if (lead == 0xf0 && byte(1) < 0x90) return 0; // overlong
    if (lead == 0xf4 && byte(1) > 0x8f) return 0; // beyond Unicode
    return length;
}

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_:.-", c) || (c & 0x80); }

std::string_view name_at(std::string_view text, std::size_t at) {
    std::size_t end = at;
    while (end < text.size() && is_name_char(text[end])) ++end;
    return text.substr(at, end - at);
}

// Skips a comment, CDATA section, processing instruction or declaration that begins at `at`.
std::size_t skip_markup(std::string_view text, std::size_t at) {
    const auto past = [&](std::string_view end) {
        const auto found = text.find(end, at);
        return found == std::string_view::npos ? text.size() : found + end.size();
    };
    const auto rest = text.substr(at);
    if (rest.starts_with("<!--")) return past("-->");
    if (rest.starts_with("<![CDATA[")) return past("]]>");
    if (rest.starts_with("<?")) return past("?>");
    return past(">");
}

struct OpenTag {
    std::string_view name;
    std::size_t at;
};

// Follows the tags to the first that closes what is not open, or to the end of the text.
[[noreturn]] void explain_mismatch(std::string_view text, std::size_t offset, const std::string& where, From from) {
    std::vector<OpenTag> open;
    for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at)) {
        if (at + 1 < text.size() && (text[at + 1] == '!' || text[at + 1] == '?')) {
            at = skip_markup(text, at);
            continue;
        }
        const bool closing = at + 1 < text.size() && text[at + 1] == '/';
        const auto name = name_at(text, at + (closing ? 2 : 1));
        auto end = at + 1;
        for (char quote = 0; end < text.size() && (quote || text[end] != '>'); ++end) {
            if (quote ? text[end] == quote : (text[end] == '\'' || text[end] == '"')) quote = quote ? '\0' : text[end];
        }
        if (!closing && (end >= text.size() || text[end - 1] != '/')) open.push_back({name, at});
        if (closing) {
            if (open.empty()) fail_malformed(text, at, "Extra content at the end of the document", where, from);
            const auto expected = open.back();
            if (expected.name != name)
                fail_malformed(text, std::min(end + 1, text.size()),
                               fmt::format("Opening and ending tag mismatch: {} line {} and {}", expected.name,
                                           line_of(text, expected.at), name),
                               where, from);
            open.pop_back();
        }
        at = std::min(end, text.size());
    }
    if (open.empty()) fail_malformed(text, offset, "Extra content at the end of the document", where, from);
    fail_malformed(text, text.size(),
                   fmt::format("Premature end of data in tag {} line {}", open.back().name, line_of(text, open.back().at)), where,
                   from);
}

void check_entity(std::string_view text, std::size_t at, const std::string& where, From from) {
    const auto name = text.substr(at + 1, std::min<std::size_t>(text.substr(at, 40).find(';'), 39) - 1);
    if (name == "amp" || name == "lt" || name == "gt" || name == "quot" || name == "apos" || name.starts_with('#')) return;
    const auto entity = name_at(text, at + 1);
    if (entity.empty()) fail_malformed(text, at + 1, "xmlParseEntityRef: no name", where, from);
    const auto end = at + 1 + entity.size();
    if (end >= text.size() || text[end] != ';') fail_malformed(text, end, "EntityRef: expecting ';'", where, from);
    fail_malformed(text, end + 1, fmt::format("Entity '{}' not defined", entity), where, from);
}

// Entities of a document's own are never expanded, so nothing can blow up; like undefined ones they are refused.
void check_entities(std::string_view text, const std::string& where, From from) {
    if (text.find('&') == std::string_view::npos) return;
    for (auto at = text.find_first_of("<&"); at != std::string_view::npos; at = text.find_first_of("<&", at)) {
        if (text[at] == '<') {
            const auto rest = text.substr(at);
            const bool literal = rest.starts_with("<!--") || rest.starts_with("<![CDATA[") || rest.starts_with("<?");
            at = literal ? skip_markup(text, at) : at + 1;
            continue;
        }
        check_entity(text, at++, where, from);
    }
}

} // namespace

std::size_t line_of(std::string_view text, std::size_t offset) {
    return 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, std::min(offset, text.size())), '\n'));
}

void fail_malformed(std::string_view text, std::size_t offset, std::string_view cause, const std::string& where, From from) {
    offset = std::min(offset, text.size());
    const auto line = line_of(text, offset);
    const auto before = text.substr(0, offset).rfind('\n');
    auto start = before == std::string_view::npos ? 0 : before + 1;
    if (offset - start > 79) start = offset - 79;
    const auto shown = text.substr(start, std::min<std::size_t>(text.find('\n', start), start + 79) - start);
    rpc::fail(from, Code::xml_detail, "{}:{}: {}\n{}\n{}^", where, line, cause, shown, std::string(offset - start, '-'));
}

namespace {

// Eight bytes at once: all of them between 0x20 and 0x7f.
bool is_plain(const char* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    constexpr std::uint64_t high = 0x8080808080808080, blank = 0x2020202020202020;
    return ((word | (word - blank)) & high) == 0;
}

} // namespace

void check_characters(std::string_view text, const std::string& where, From from) {
    for (std::size_t at = 0; at < text.size();) {
        if (at + 8 <= text.size() && is_plain(text.data() + at)) {
            at += 8;
            continue;
        }
        const auto c = static_cast<unsigned char>(text[at]);
        if (c >= 0x20 && c < 0x80) {
            ++at;
            continue;
        }
        if (c < 0x20 && c != '\n' && c != '\t' && c != '\r')
            fail_malformed(text, at, fmt::format("PCDATA invalid Char value {}", c), where, from);
        const auto length = sequence_length(text, at);
        if (length == 0) fail_malformed(text, at, "Input is not proper UTF-8, indicate encoding !", where, from);
        at += length;
    }
}

namespace {

std::string_view cause_of(const pugi::xml_parse_result& result, std::string_view text) {
    switch (result.status) {
    case pugi::status_no_document_element: return trim(text).empty() ? "Document is empty" : "Start tag expected, '<' not found";
    case pugi::status_bad_comment: return "Comment not terminated";
    case pugi::status_bad_cdata: return "CData section not finished";
    case pugi::status_bad_pi: return "xmlParsePI : no target name";
    case pugi::status_bad_doctype: return "DOCTYPE improperly terminated";
    case pugi::status_bad_start_element: return "Couldn't find end of Start Tag";
    case pugi::status_bad_end_element: return "expected '>'";
    case pugi::status_bad_attribute: return "AttValue: \" or ' expected";
    case pugi::status_unrecognized_tag: return "StartTag: invalid element name";
    default: return result.description();
    }
}

} // namespace

void explain_failure(std::string_view text, const pugi::xml_parse_result& result, const std::string& where, From from) {
    const auto offset = result.offset < 0 ? 0 : static_cast<std::size_t>(result.offset);
    if (result.status == pugi::status_out_of_memory) rpc::fail(from, Code::no_memory, "");
    if (result.status == pugi::status_end_element_mismatch) explain_mismatch(text, offset, where, from);
    fail_malformed(text, offset, cause_of(result, text), where, from);
}

namespace {

// Null: each is there once. Elements have three attributes or so; hostile ones may have a million.
const char* repeated_attribute(pugi::xml_node node) {
    std::size_t count = 0;
    for (auto one = node.first_attribute(); one; one = one.next_attribute()) {
        if (++count > 16) break;
        for (auto other = node.first_attribute(); other != one; other = other.next_attribute())
            if (std::strcmp(one.name(), other.name()) == 0) return one.name();
    }
    if (count <= 16) return nullptr;
    std::set<std::string_view> names;
    for (auto one = node.first_attribute(); one; one = one.next_attribute())
        if (!names.insert(one.name()).second) return one.name();
    return nullptr;
}

} // namespace

void check_shape(const pugi::xml_document& document, std::string_view text, const std::string& where, From from) {
    const auto refuse = [&](pugi::xml_node node, const std::string& cause) {
        fail_malformed(text, static_cast<std::size_t>(std::max<std::ptrdiff_t>(node.offset_debug(), 0)), cause, where, from);
    };
    check_entities(text, where, from);
    const auto root = document.document_element();
    for (auto node = root.next_sibling(); node; node = node.next_sibling())
        if (node.type() == pugi::node_element) refuse(node, "Extra content at the end of the document");
    unsigned depth = 1;
    for (auto node = root; node;) {
        if (const auto* name = repeated_attribute(node)) refuse(node, fmt::format("Attribute {} redefined", name));
        if (const auto child = node.first_child()) {
            if (++depth > max_depth)
                refuse(node, fmt::format("Excessive depth in document: {} use XML_PARSE_HUGE option", max_depth));
            node = child;
            continue;
        }
        while (node != root && !node.next_sibling()) node = node.parent(), --depth;
        if (node == root) break;
        node = node.next_sibling();
    }
}

} // namespace lodge::xml
