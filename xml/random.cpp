// Fills a document with random content, for property tests: what is written from it reads back as the same text.
#include "xml/describe.hpp"

namespace lodge::xml {

namespace {

constexpr unsigned max_depth = 12; // structs may contain themselves

class Filler : public Doc {
  public:
    explicit Filler(Random& random)
        : random_(random) {}

  protected:
    void on_attribute(const char*, Scalar value, Mark marks) override { fill(value, marks); }
    void on_text(Scalar value, Mark marks) override { fill(value, marks); }
    void on_text_child(const char*, Scalar value, Mark marks) override { fill(value, marks); }
    void on_flag(const char*, bool& value, Mark) override { value = coin(); }

    void on_child(const char*, Slot slot, Mark marks) override {
        if (!slot.ops->always && !has(marks, Mark::required) && (depth_ >= max_depth || coin())) return;
        inside(slot.ops->emplace(slot.slot), slot.ops->describe);
    }

    void on_list(const char*, List list, Mark marks) override {
        const auto least = has(marks, Mark::required) ? 1U : 0U;
        for (auto left = depth_ >= max_depth ? least : least + random_() % 3; left > 0; --left) {
            void* item = list.ops->append(list.list);
            if (list.ops->describe)
                inside(item, list.ops->describe);
            else
                fill({item, list.ops->item_ops()}, Mark::required);
        }
    }

    void on_choices(List list, const KindOps& kinds, Mark marks) override {
        const auto only = random_() % kinds.names().size();
        for (auto left = depth_ >= max_depth ? 0U : random_() % 4; left > 0; --left) {
            void* item = list.ops->append(list.list);
            kinds.set(item, has(marks, Mark::one_kind) ? only : random_() % kinds.names().size());
            inside(item, list.ops->describe);
        }
    }

    void on_raw(const char* element, std::string& subtree, Mark) override {
        if (coin())
            subtree =
                fmt::format("<{0}>\n  <n:note xmlns:n=\"http://example.org/{1}\" at=\"{1}\">\n    <n:b/>\n  </n:note>\n</{0}>",
                            element, random_() % 100);
    }

    bool enter(const char*, Mark) override { return true; }
    void leave() override {}

  private:
    bool coin() { return random_() & 1; }

    void fill(Scalar value, Mark marks) {
        do value.ops->random(value.value, random_);
        while (has(marks, Mark::required) && !value.ops->present(value.value));
        if (!has(marks, Mark::required) && random_() % 3 == 0) value.ops->clear(value.value);
    }

    void inside(void* item, void (*describe)(Doc&, void*)) {
        ++depth_;
        describe(*this, item);
        --depth_;
    }

    Random& random_;
    unsigned depth_ = 0;
};

} // namespace

void random_document(Slot into, Random& random) {
    Filler filler(random);
    into.ops->describe(filler, into.ops->emplace(into.slot));
}

} // namespace lodge::xml
