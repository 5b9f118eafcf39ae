// Compares two documents fact by fact: each is laid out as a list of paths and values, then the lists are laid side by side.
#include "xml/describe.hpp"

namespace lodge::xml {

namespace {

using Facts = GuestView;

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

} // namespace

std::vector<std::string> compare_documents(const char* root, Slot a, Slot b, Mark ignore) {
    const Facts before = facts_of(root, a, ignore), now = facts_of(root, b, ignore);
    const auto shown = [](const Facts& facts, const std::string& path) {
        const auto found = facts.find(path);
        return found == facts.end() || found->second.empty() ? std::string("(none)") : found->second;
    };
    Facts paths = before;
    paths.insert(now.begin(), now.end());
    std::vector<std::string> lines;
    for (const auto& [path, value] : paths)
        if (const auto old = shown(before, path), changed = shown(now, path); old != changed)
            lines.push_back(fmt::format("{}: {} -> {}", path, old, changed));
    return lines;
}

GuestView guest_view(const char* root, Slot of) {
    return facts_of(root, of, Mark::host | Mark::live | Mark::private_, View::guest);
}

} // namespace lodge::xml
