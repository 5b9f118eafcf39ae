// Lists every path that a description knows, each once, in the order of output.
#include "xml/describe.hpp"
#include <set>

namespace lodge::xml {

namespace {

class Outliner : public Doc {
  public:
    explicit Outliner(std::string root)
        : path_(std::move(root)) {}

    std::vector<std::string> paths;

    void describe_item(void* item, void (*describe)(Doc&, void*)) {
        if (std::ranges::find(open_, describe) != open_.end()) return; // a struct inside itself says nothing new
        open_.push_back(describe);
        describe(*this, item);
        open_.pop_back();
    }

    bool when(bool) override { return true; }

  protected:
    void on_attribute(const char* name, Scalar, Mark) override { note(std::string("@") + name); }
    void on_text(Scalar, Mark) override { note("text()"); }
    void on_text_child(const char* element, Scalar, Mark) override { note(element); }
    void on_flag(const char* element, bool&, Mark) override { note(element); }
    void on_raw(const char* element, std::string&, Mark) override { note(element); }

    void on_child(const char* element, Slot slot, Mark marks) override {
        const bool was_absent = !slot.ops->present(slot.slot);
        void* item = was_absent ? slot.ops->emplace(slot.slot) : slot.ops->get(slot.slot);
        enter(element, marks);
        describe_item(item, slot.ops->describe);
        leave();
        if (was_absent) slot.ops->clear(slot.slot);
    }

    void on_list(const char* element, List list, Mark marks) override {
        void* item = list.ops->append(list.list);
        enter(element, marks);
        if (list.ops->describe) describe_item(item, list.ops->describe);
        leave();
        list.ops->clear(list.list);
    }

    void on_choices(List list, const KindOps& kinds, Mark marks) override {
        for (std::size_t kind = 0; kind < kinds.names().size(); ++kind) {
            void* item = list.ops->append(list.list);
            kinds.set(item, kind);
            enter(kinds.names()[kind].data(), marks);
            describe_item(item, list.ops->describe);
            leave();
            list.ops->clear(list.list);
        }
    }

    bool enter(const char* element, Mark) override {
        note(element);
        lengths_.push_back(path_.size());
        path_.append("/").append(element);
        return true;
    }
    void leave() override {
        path_.resize(lengths_.back());
        lengths_.pop_back();
    }

  private:
    void note(const std::string& step) {
        auto path = path_ + "/" + step;
        if (known_.insert(path).second) paths.push_back(std::move(path));
    }

    std::string path_;
    std::vector<std::size_t> lengths_;
    std::vector<void (*)(Doc&, void*)> open_;
    std::set<std::string> known_;
};

} // namespace

std::vector<std::string> outline_document(const char* root, Slot of) {
    Outliner outliner(root);
    void* item = of.ops->present(of.slot) ? of.ops->get(of.slot) : of.ops->emplace(of.slot);
    outliner.describe_item(item, of.ops->describe);
    return std::move(outliner.paths);
}

} // namespace lodge::xml
