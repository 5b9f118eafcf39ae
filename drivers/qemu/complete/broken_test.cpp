// Each part of the corpus' documents taken out, emptied or given a wrong value: whatever is understood of them must be read again
// as it was written and have a command line, or be refused in words.
#include "drivers/qemu/complete/test_context.hpp"
#include "tests/corpus.hpp"
#include <fmt/ranges.h>
#include <pugixml.hpp>
#include <set>

namespace lodge::drivers::qemu {

namespace {

std::string printed(pugi::xml_node node) {
    std::ostringstream out;
    node.print(out, "", pugi::format_raw);
    return out.str();
}

// Calls `work` for each broken form of a document. What stands in many documents with the same surroundings is broken once.
class Breaker {
  public:
    template<class F> void each(const std::string& text, F work) {
        pugi::xml_document document;
        document.load_string(text.c_str());
        visit(document, document.document_element(), work);
    }

  private:
    bool is_new(pugi::xml_node around, const std::string& what) {
        const bool is_part = around.parent().parent(); // roots are all different
        return seen_.insert(around.path() + what + (is_part ? printed(around) : "")).second;
    }

    template<class F> void visit(const pugi::xml_document& document, pugi::xml_node element, F work) {
        for (auto attribute = element.first_attribute(); attribute; attribute = attribute.next_attribute()) {
            const std::string value = attribute.value();
            for (const auto* wrong : {"", "x", "0"}) {
                attribute.set_value(wrong);
                if (is_new(element, attribute.name())) work(printed(document));
            }
            attribute.set_value(value.c_str());
            if (is_new(element, std::string("without ") + attribute.name()))
                change(document, element, work, [&](pugi::xml_node same) { same.remove_attribute(attribute.name()); });
        }
        for (auto child = element.first_child(); child; child = child.next_sibling()) {
            if (child.type() != pugi::node_element) continue;
            visit(document, child, work);
            if (!is_new(child, "")) continue;
            change(document, child, work, [](pugi::xml_node same) { same.remove_children(); });
            change(document, child, work, [](pugi::xml_node same) { same.remove_attributes(), same.remove_children(); });
            change(document, child, work, [](pugi::xml_node same) { same.parent().remove_child(same); });
            change(document, child, work, [](pugi::xml_node same) { same.parent().insert_copy_after(same, same); });
        }
    }

    template<class F, class C> static void change(const pugi::xml_document& document, pugi::xml_node node, F work, C how) {
        pugi::xml_document changed;
        changed.reset(document);
        how(at_place(changed, node));
        work(printed(changed));
    }

    static pugi::xml_node at_place(pugi::xml_node root, pugi::xml_node node) {
        if (!node.parent()) return root;
        auto same = at_place(root, node.parent()).first_child();
        for (auto before = node.previous_sibling(); before; before = before.previous_sibling()) same = same.next_sibling();
        return same;
    }

    std::set<std::string> seen_;
};

std::multiset<std::string> lines_of(const std::string& text) {
    std::multiset<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.insert(line);
    return lines;
}

// What is wrong with it; empty: nothing.
std::string fault(const std::string& text, const CompleteContext& ctx) {
    std::string once;
    try {
        once = completed_form(text, ctx);
    } catch (const rpc::Error&) {
        return "";
    }
    try {
        // In any order: disks and controllers are put where libvirt puts them, which is not always where they are found again.
        std::multiset<std::string> gone = lines_of(once), added;
        for (const auto& line : lines_of(completed_form(once, ctx)))
            if (const auto same = gone.find(line); same != gone.end())
                gone.erase(same);
            else
                added.insert(line);
        if (gone.empty() && added.empty()) return "";
        return fmt::format("is changed by reading it again: {} became {}", fmt::join(gone, ""), fmt::join(added, ""));
    } catch (const rpc::Error& error) {
        return "refuses what it wrote: " + error.message();
    }
}

} // namespace

TEST_CASE("what is understood of broken domains is read again as it was written", "[corpus]") {
#if __has_feature(address_sanitizer)
    constexpr unsigned each = 10; // the fuzzers look for more
#else
    constexpr unsigned each = 1;
#endif
    const auto ctx = debian_context();
    Breaker breaker;
    unsigned number = 0;
    for (const auto* folder : {"qemuxml2argvdata", "qemuxml2xmloutdata", "genericxml2xmlindata"})
        for (const auto& stem : corpus::stems(folder)) {
            const auto text = corpus::slurp(stem.string() + ".out.xml");
            if (!text.starts_with("<domain ")) continue;
            breaker.each(text, [&](const std::string& broken) {
                if (++number % each != 0) return;
                const auto wrong = fault(broken, ctx);
                if (wrong.empty()) return;
                UNSCOPED_INFO(broken);
                FAIL_CHECK(stem.filename().string() << " " << wrong);
            });
        }
}

} // namespace lodge::drivers::qemu
