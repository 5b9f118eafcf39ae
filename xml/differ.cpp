// Compares two documents fact by fact: each is laid out as a list of paths and values, then the lists are laid side by side.
#include "xml/describe.hpp"
#include <map>

namespace lodge::xml {

namespace {

using Facts = std::map<std::string, std::string>;

// Which facts a comparison is about: all but the ignored ones, or only what the guest sees.
enum class View { all, guest };

class Collector : public Doc {
  public:
    Collector(std::string root, Mark ignore, View view)
        : path_(std::move(root))
        , ignore_(ignore)
        , view_(view) {}

    Facts facts;

  protected:
    void on_attribute(const char* name, Scalar value, Mark marks) override {
        if (is_asked(marks)) note(fmt::format("{}/@{}", path_, name), value);
    }
    void on_text(Scalar value, Mark marks) override {
        if (is_asked(marks)) note(path_ + "/text()", value);
    }
    void on_text_child(const char* element, Scalar value, Mark marks) override {
        if (is_asked(marks)) note(fmt::format("{}/{}", path_, element), value);
    }
    void on_flag(const char* element, bool& value, Mark marks) override {
        if (is_asked(marks) && value) facts.emplace(fmt::format("{}/{}", path_, element), "present");
    }
    void on_child(const char* element, Slot slot, Mark marks) override {
        if (!counts(marks) || !slot.ops->present(slot.slot)) return;
        if (!slot.ops->always && is_asked(marks)) facts.emplace(fmt::format("{}/{}", path_, element), "present");
        seen_whole_ += has(marks, Mark::guest);
        inside(element, [&] { slot.ops->describe(*this, slot.ops->get(slot.slot)); });
        seen_whole_ -= has(marks, Mark::guest);
    }
    void on_list(const char* element, List list, Mark marks) override {
        if (!counts(marks)) return;
        for (std::size_t i = 0; i < list.ops->size(list.list); ++i) {
            const auto step = fmt::format("{}[{}]", element, i + 1);
            void* item = list.ops->at(list.list, i);
            if (is_asked(marks)) facts.emplace(fmt::format("{}/{}", path_, step), "present");
            inside(step, [&] {
                if (list.ops->describe)
                    list.ops->describe(*this, item);
                else if (is_asked(marks))
                    note(path_ + "/text()", {item, list.ops->item_ops()});
            });
        }
    }
    void on_choices(List list, const KindOps& kinds, Mark marks) override {
        if (!counts(marks)) return;
        for (std::size_t i = 0; i < list.ops->size(list.list); ++i) {
            void* item = list.ops->at(list.list, i);
            const auto step = fmt::format("{}[{}]", kinds.names()[kinds.get(item)], i + 1);
            facts.emplace(fmt::format("{}/{}", path_, step), "present");
            inside(step, [&] { list.ops->describe(*this, item); });
        }
    }
    void on_raw(const char* element, std::string& subtree, Mark marks) override {
        if (is_asked(marks) && !subtree.empty()) facts.emplace(fmt::format("{}/{}", path_, element), subtree);
    }
    bool enter(const char* element, Mark marks) override {
        if (!counts(marks)) return false;
        lengths_.push_back(path_.size());
        path_.append("/").append(element);
        return true;
    }
    void leave() override {
        path_.resize(lengths_.back());
        lengths_.pop_back();
    }

  private:
    bool is_asked(Mark marks) const {
        return counts(marks) && (view_ == View::all || seen_whole_ > 0 || has(marks, Mark::guest));
    }
    bool counts(Mark marks) const { return (static_cast<unsigned>(marks) & static_cast<unsigned>(ignore_)) == 0; }

    void note(std::string path, Scalar value) {
        if (!value.ops->present(value.value)) return;
        std::string text;
        value.ops->format(value.value, text);
        facts.emplace(std::move(path), std::move(text));
    }

    template<class F> void inside(std::string_view step, F body) {
        const auto length = path_.size();
        path_.append("/").append(step);
        body();
        path_.resize(length);
    }

    std::string path_;
    std::vector<std::size_t> lengths_;
    Mark ignore_;
    View view_;
    unsigned seen_whole_ = 0; // children around us that the guest sees as a whole
};

Facts facts_of(const char* root, Slot slot, Mark ignore, View view = View::all) {
    Collector collector(root, ignore, view);
    slot.ops->describe(collector, slot.ops->get(slot.slot));
    return std::move(collector.facts);
}

std::vector<Difference> differences(const Facts& before, const Facts& now) {
    std::vector<Difference> found;
    for (const auto& [path, value] : before) {
        const auto other = now.find(path);
        const std::string changed = other == now.end() ? std::string() : other->second;
        if (changed != value) found.push_back({path, value, changed});
    }
    for (const auto& [path, value] : now)
        if (!before.contains(path)) found.push_back({path, "", value});
    return found;
}

} // namespace

std::vector<std::string> compare_documents(const char* root, Slot a, Slot b, Mark ignore) {
    std::vector<std::string> lines;
    const auto shown = [](const std::string& value) { return value.empty() ? "(none)" : value; };
    for (const auto& difference : differences(facts_of(root, a, ignore), facts_of(root, b, ignore)))
        lines.push_back(fmt::format("{}: {} -> {}", difference.path, shown(difference.before), shown(difference.now)));
    return lines;
}

std::vector<Difference> compare_guest_view(const char* root, Slot before, Slot now) {
    const auto apart = Mark::host | Mark::live | Mark::private_;
    return differences(facts_of(root, before, apart, View::guest), facts_of(root, now, apart, View::guest));
}

} // namespace lodge::xml
