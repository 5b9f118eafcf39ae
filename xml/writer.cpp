// Writes a document as libvirt formats it: two blanks for a level, single quotes, <x/> for what is empty. All goes into one
// string; an element that turns out to hold nothing is cut off again.
#include "xml/describe.hpp"
#include "xml/text.hpp"
#include <cassert>
#include <cstring>
#include <utility>

namespace lodge::xml {

namespace {

class Writer : public Doc {
  public:
    explicit Writer(const WriteOptions& options)
        : options_(options) {
        out_.reserve(8192);
    }

    bool live() const override { return options_.live; }
    void has_end_tag() override { close_start_tag(); }

    std::string write(const char* root, Slot from) {
        write_document_element(root, from.ops->get(from.slot), from.ops->describe);
        return std::move(out_);
    }

  protected:
    void on_attribute(const char* name, Scalar value, Mark marks) override {
        const bool given = value.ops->present(value.value) || (value.ops->is_text && has(marks, Mark::required));
        if (is_skipped(marks) || !given) return;
        assert(start_tag_open_ && "a description names attributes before children");
        out_.append(1, ' ').append(name).append("='");
        append_value(value);
        out_ += '\'';
    }

    void on_text(Scalar value, Mark marks) override {
        if (is_skipped(marks) || !value.ops->present(value.value)) return;
        write_text(value);
    }

    void on_text_child(const char* element, Scalar value, Mark marks) override {
        if (is_skipped(marks) || !value.ops->present(value.value)) return;
        begin(element);
        write_text(value);
        end(element);
    }

    void on_flag(const char* element, bool& value, Mark marks) override {
        if (is_skipped(marks) || !value) return;
        begin(element);
        end(element);
    }

    void on_child(const char* element, Slot slot, Mark marks) override {
        if (is_skipped(marks) || !slot.ops->present(slot.slot)) return;
        if (has(marks, Mark::document)) return write_document_element(element, slot.ops->get(slot.slot), slot.ops->describe);
        write_element(element, slot.ops->get(slot.slot), slot.ops->describe, !slot.ops->always && !has(marks, Mark::filled));
    }

    void on_list(const char* element, List list, Mark marks) override {
        if (is_skipped(marks)) return;
        const auto size = list.ops->size(list.list);
        for (std::size_t i = 0; i < size; ++i) {
            void* item = list.ops->at(list.list, i);
            if (list.ops->describe) {
                write_element(element, item, list.ops->describe, true);
            } else {
                begin(element);
                on_text({item, list.ops->item_ops()}, Mark::none);
                end(element);
            }
        }
    }

    void on_choices(List list, const KindOps& kinds, Mark marks) override {
        if (is_skipped(marks)) return;
        const auto size = list.ops->size(list.list);
        for (std::size_t i = 0; i < size; ++i) {
            void* item = list.ops->at(list.list, i);
            write_element(kinds.names()[kinds.get(item)].data(), item, list.ops->describe, true);
        }
    }

    void on_raw(const char*, std::string& subtree, Mark marks) override {
        if (is_skipped(marks) || subtree.empty()) return;
        close_start_tag();
        out_.append(blanks(), ' ');
        pugi::xml_document document;
        document.load_buffer(subtree.data(), subtree.size(),
                             pugi::parse_default | pugi::parse_comments | pugi::parse_ws_pcdata_single, pugi::encoding_utf8);
        append_subtree(out_, document.document_element(), blanks());
        out_ += '\n';
    }

    bool enter(const char* element, Mark marks) override {
        if (is_skipped(marks)) return false;
        entered_.push_back({element, begin(element), has(marks, Mark::required)});
        return true;
    }

    void leave() override {
        const auto [element, place, is_required] = entered_.back();
        entered_.pop_back();
        end_or_undo(element, place, is_required);
    }

  private:
    // Where an element began, to be able to cut it off.
    struct Place {
        std::size_t before; // length of the text
        std::size_t after;  // length with "<name"
        bool start_tag_open;
    };
    struct Entered {
        const char* element;
        Place place;
        bool is_required;
    };

    bool is_skipped(Mark marks) const {
        return (has(marks, Mark::live) && !options_.live) || (has(marks, Mark::private_) && !options_.private_) ||
               (has(marks, Mark::secret) && !options_.secret);
    }

    std::size_t blanks() const { return options_.indent + 2 * depth_; }

    void append_value(Scalar value) {
        const auto start = out_.size();
        value.ops->format(value.value, out_);
        escape_from(out_, start);
    }

    void write_text(Scalar value) {
        if (depth_ == root_depth_) root_tag_end_ = out_.size();
        out_ += '>';
        append_value(value);
        start_tag_open_ = false;
        has_text_ = true;
    }

    void close_start_tag() {
        if (!start_tag_open_) return;
        if (depth_ == root_depth_) root_tag_end_ = out_.size();
        out_ += ">\n";
        start_tag_open_ = false;
    }

    Place begin(const char* element) {
        Place place{out_.size(), 0, start_tag_open_};
        close_start_tag();
        out_.append(blanks(), ' ').append(1, '<').append(element);
        place.after = out_.size();
        start_tag_open_ = true;
        ++depth_;
        return place;
    }

    void end(const char* element) {
        if (depth_ == root_depth_ && start_tag_open_) root_tag_end_ = out_.size();
        --depth_;
        if (start_tag_open_) {
            out_ += "/>\n";
        } else {
            if (!has_text_) out_.append(blanks(), ' ');
            out_.append("</").append(element).append(">\n");
        }
        start_tag_open_ = has_text_ = false;
        if (std::strchr(element, ':')) note_prefix(element);
    }

    void end_or_undo(const char* element, const Place& place, bool keep_empty) {
        if (keep_empty || out_.size() > place.after) return end(element);
        out_.resize(place.before);
        start_tag_open_ = place.start_tag_open;
        --depth_;
    }

    void write_element(const char* element, void* item, void (*describe)(Doc&, void*), bool keep_empty) {
        const auto place = begin(element);
        describe(*this, item);
        end_or_undo(element, place, keep_empty);
    }

    // The root, or the root of a document that stands inside another.
    void write_document_element(const char* element, void* item, void (*describe)(Doc&, void*)) {
        const auto outer_prefixes = std::exchange(prefixes_, {});
        const auto outer_depth = std::exchange(root_depth_, depth_ + 1);
        const auto outer_end = root_tag_end_;
        write_element(element, item, describe, true);
        declare_namespaces();
        prefixes_ = outer_prefixes;
        root_depth_ = outer_depth;
        root_tag_end_ = outer_end;
    }

    void note_prefix(std::string_view element) {
        const auto prefix = element.substr(0, element.find(':'));
        if (std::ranges::find(prefixes_, prefix) == prefixes_.end()) prefixes_.push_back(prefix);
    }

    void declare_namespaces() {
        std::string declarations;
        for (const auto prefix : prefixes_) declarations += fmt::format(" xmlns:{}='{}'", prefix, namespace_of_prefix(prefix));
        out_.insert(root_tag_end_, declarations);
    }

    const WriteOptions& options_;
    std::string out_;
    std::vector<Entered> entered_;
    std::vector<std::string_view> prefixes_;
    std::size_t root_tag_end_ = 0;
    unsigned depth_ = 0, root_depth_ = 0;
    bool start_tag_open_ = false;
    bool has_text_ = false;
};

} // namespace

std::string write_document(const char* root, Slot from, const WriteOptions& options) { return Writer(options).write(root, from); }

} // namespace lodge::xml
