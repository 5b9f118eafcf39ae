// Reads a document into its structs. The current element is the only state: a description goes down and comes back up.
#include "xml/describe.hpp"
#include "xml/malformed.hpp"
#include "xml/refusals.hpp"
#include "xml/text.hpp"

namespace lodge::xml {

namespace {

constexpr std::size_t max_size = 16 * 1024 * 1024;

class Reader : public Doc {
  public:
    Reader(pugi::xml_node root, const ReadOptions& options)
        : node_(root)
        , options_(options) {}

    bool reading() const override { return true; }
    bool live() const override { return options_.live; }

    void read_in_order(std::span<const std::string_view> parts) override { orders_.push_back({node_, parts, {}}); }

    void read_whole(Slot into) {
        judge("", "", [&] { into.ops->describe(*this, into.ops->emplace(into.slot)); });
    }
    [[noreturn]] void refuse(Code code, const std::string& text) override { rpc::fail(options_.from, code, "{}", text); }
    // Where what was refused stands; null: its text says enough.
    pugi::xml_node place() const { return place_.value_or(pugi::xml_node()); }

  protected:
    void on_attribute(const char* name, Scalar value, Mark marks) override {
        if (!is_skipped(marks)) judge("@", name, [&] { read_attribute(name, value, marks); });
    }

    void on_text(Scalar value, Mark marks) override {
        if (!is_skipped(marks)) judge("", "text()", [&] { read_text(value, marks); });
    }

    void on_text_child(const char* element, Scalar value, Mark marks) override {
        judge("", element, [&] {
            if (!enter(element, marks)) return;
            read_text(value, marks);
            leave();
        });
    }

    void on_flag(const char* element, bool& value, Mark marks) override {
        note(element);
        if (!is_skipped(marks)) value = static_cast<bool>(first_named(node_, element));
    }

    void on_child(const char* element, Slot slot, Mark marks) override {
        judge("", element, [&] {
            if (enter(element, marks)) describe_here([&] { slot.ops->describe(*this, slot.ops->emplace(slot.slot)); });
        });
    }

    void on_list(const char* element, List list, Mark marks) override {
        note(element);
        if (!is_skipped(marks)) judge("", element, [&] { read_list(element, list, marks); });
    }

    void on_choices(List list, const KindOps& kinds, Mark marks) override {
        if (is_skipped(marks)) return;
        const auto names = kinds.names();
        for (const auto name : names) note(name);
        for (auto child = node_.first_child(); child; child = child.next_sibling()) {
            const auto found = std::ranges::find(names, std::string_view(child.name()));
            if (child.type() != pugi::node_element || found == names.end()) continue;
            if (has(marks, Mark::one_kind) && list.ops->size(list.list)) {
                const auto first = kinds.get(list.ops->at(list.list, 0));
                if (first != static_cast<std::size_t>(found - names.begin())) continue;
            }
            void* item = list.ops->append(list.list);
            kinds.set(item, static_cast<std::size_t>(found - names.begin()));
            node_ = child;
            describe_here([&] { list.ops->describe(*this, item); });
        }
    }

    void on_raw(const char* element, std::string& subtree, Mark marks) override {
        if (!enter(element, marks)) return;
        subtree.clear();
        append_subtree(subtree, node_, 0);
        leave();
    }

    void on_group(const char* element, Body body, Mark marks) override {
        judge("", element, [&] {
            if (enter(element, marks)) describe_here(body);
        });
    }
    void on_check(const char* part, Body body) override {
        if (!options_.checked) judge("", part, body, Told::alone);
    }

    bool enter(const char* element, Mark marks) override {
        note(element);
        if (is_skipped(marks)) return false;
        const auto child = first_named(node_, element);
        if (child && has(marks, Mark::single) && next_named(child, element)) {
            refuse_in_own_words(RefusalKind::repeated, std::string("/") + element, "");
            rpc::fail(From::xml, Code::xml_error, "Element '{}' may be given only once in element '{}'", element, node_.name());
        }
        if (child && has(marks, Mark::joined)) join(child);
        if (child) return node_ = child, true;
        if (must_be_there(marks)) refuse_missing_element(element);
        return false;
    }
    void leave() override { node_ = node_.parent(); }

    void begin_only() override { closed_.push_back({node_, {}}); }
    void end_only(Code code, const char* text) override {
        const auto known = std::move(closed_.back().names);
        closed_.pop_back();
        for (auto child = node_.first_child(); child; child = child.next_sibling())
            if (child.type() == pugi::node_element && std::ranges::find(known, std::string_view(child.name())) == known.end())
                rpc::fail(options_.from, code, fmt::runtime(text), child.name());
    }

  private:
    // An element whose children must all be known, and those that its description named.
    struct Closed {
        pugi::xml_node node;
        std::vector<std::string_view> names;
    };

    // What stopped the reading of a part.
    struct Refused {
        rpc::Error error;
        pugi::xml_node place;
    };
    // An element whose parts are read in an order of their own, and what was refused in the earliest of them so far.
    struct Order {
        pugi::xml_node node;
        std::span<const std::string_view> parts;
        std::optional<Refused> first;
        std::size_t rank = 0;
    };
    enum class Told { with_place, alone };

    // Reads a part of the current element. When it is refused, the reading goes on behind it if an element above has an order
    // in which the part stands: an earlier one may be broken as well.
    template<class F> void judge(const char* prefix, const char* part, F&& work, Told told = Told::with_place) {
        const auto here = node_;
        const auto orders = orders_.size(), closed = closed_.size();
        try {
            work();
            tell_first(orders);
        } catch (const rpc::Error& error) {
            auto refused =
                take_first(orders).value_or(Refused{error, place_.value_or(told == Told::alone ? pugi::xml_node() : node_)});
            closed_.resize(closed);
            node_ = here;
            place_.reset();
            if (put_aside(std::string(prefix) + part, refused)) return;
            place_ = refused.place;
            throw refused.error;
        }
    }

    // Describes the current element and goes back up; the orders given in it are over then.
    template<class F> void describe_here(F&& describe) {
        const auto orders = orders_.size();
        describe();
        tell_first(orders);
        leave();
    }

    // The first of its name gets what the others have; attributes only where it has none.
    static void join(pugi::xml_node first) {
        while (auto other = next_named(first, first.name())) {
            for (const auto attribute : other.attributes())
                if (!first.attribute(attribute.name())) first.append_copy(attribute);
            while (const auto child = other.first_child()) first.append_move(child);
            first.parent().remove_child(other);
        }
    }

    std::optional<Refused> take_first(std::size_t from) {
        std::optional<Refused> first;
        for (auto order = orders_.begin() + static_cast<std::ptrdiff_t>(from); order != orders_.end() && !first; ++order)
            first = std::move(order->first);
        orders_.resize(from);
        return first;
    }

    void tell_first(std::size_t from) {
        if (orders_.size() == from) return;
        const auto first = take_first(from);
        if (!first) return;
        place_ = first->place;
        throw first->error;
    }

    bool put_aside(std::string path, const Refused& refused) {
        if (orders_.empty()) return false;
        auto& order = orders_.back();
        for (auto node = node_; node != order.node; node = node.parent()) path.insert(0, "/").insert(0, node.name());
        const auto found = std::ranges::find(order.parts, path);
        if (found == order.parts.end() && node_ != order.node) return false;
        const auto rank = static_cast<std::size_t>(found - order.parts.begin());
        if (!order.first || rank < order.rank) order.first = refused, order.rank = rank;
        return true;
    }

    void note(std::string_view element) {
        if (!closed_.empty() && closed_.back().node == node_) closed_.back().names.push_back(element);
    }

    static bool is_zero(Scalar value) {
        std::string text;
        value.ops->format(value.value, text);
        return !text.empty() && text.find_first_not_of("0x") == std::string::npos;
    }

    bool is_skipped(Mark marks) const {
        return (has(marks, Mark::live) && !options_.live) || (has(marks, Mark::private_) && !options_.private_) ||
               (has(marks, Mark::recorded) && !options_.recorded);
    }

    // What was taken once is written without parts that say nothing, and must be read again all the same.
    bool must_be_there(Mark marks) const { return has(marks, Mark::required) && !options_.checked; }

    void read_attribute(const char* name, Scalar value, Mark marks) {
        const auto attribute = node_.attribute(name);
        const bool is_blank = has(marks, Mark::blank) && !*attribute.value();
        if (attribute && !is_blank) {
            if (!value.ops->parse(value.value, attribute.value(), marks)) refuse_attribute(name, attribute.value(), value, marks);
            if (has(marks, Mark::positive) && !value.ops->is_text && is_zero(value))
                rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute '{}' in element '{}': Zero is not permitted",
                          name, node_.name());
            if (has(marks, Mark::unless_zero) && is_zero(value)) value.ops->clear(value.value);
        } else if (must_be_there(marks)) {
            refuse_in_own_words(RefusalKind::missing, std::string("/@") + name, "");
            rpc::fail(From::xml, Code::xml_error, "Missing required attribute '{}' in element '{}'", name, node_.name());
        }
    }

    void read_list(const char* element, List list, Mark marks) {
        if (must_be_there(marks) && !first_named(node_, element)) refuse_missing_element(element);
        for (auto child = first_named(node_, element); child; child = next_named(child, element)) {
            void* item = list.ops->append(list.list);
            node_ = child;
            describe_here([&] {
                if (list.ops->describe) return list.ops->describe(*this, item);
                read_text({item, list.ops->item_ops()}, Mark::none);
            });
        }
    }

    [[noreturn]] void refuse_missing_element(const char* element) const {
        refuse_in_own_words(RefusalKind::missing, std::string("/") + element, "");
        rpc::fail(From::xml, Code::xml_error, "Missing required element '{}' in element '{}'", element, node_.name());
    }

    void refuse_in_own_words(RefusalKind kind, const std::string& step, std::string_view value) const {
        std::string path = step;
        for (auto node = node_; node && node.type() == pugi::node_element; node = node.parent()) {
            const std::string_view name = node.name();
            if (const auto type = node.attribute("type")) path.insert(0, fmt::format("[{}]", type.value()));
            path.insert(0, name.substr(name.find(':') + 1)).insert(0, "/");
        }
        const auto* refusal = find_refusal(kind, path);
        if (!refusal) return;
        std::string text(refusal->text);
        if (const auto place = text.find("{}"); place != std::string::npos) text.replace(place, 2, value);
        throw rpc::Error(refusal->code, text, refusal->from);
    }

    [[noreturn]] void refuse_attribute(const char* name, const char* text, Scalar value, Mark marks) {
        refuse_in_own_words(RefusalKind::invalid, std::string("/@") + name, text);
        std::string_view expected = value.ops->expected;
        if (has(marks, Mark::natural)) expected = *text == '-' ? "Expected non-negative value" : "Expected integer value";
        rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute '{}' in element '{}': '{}'.{}{}", name, node_.name(),
                  text, expected.empty() ? "" : " ", expected);
    }

    // Text may be cut by comments into several nodes; one node is what nearly every document has.
    void read_text(Scalar value, Mark marks) {
        const char* only = "";
        std::string joined;
        for (auto child = node_.first_child(); child; child = child.next_sibling()) {
            if (child.type() != pugi::node_pcdata && child.type() != pugi::node_cdata) continue;
            if (*only) joined.append(joined.empty() ? only : "").append(child.value());
            if (!*only) only = child.value();
        }
        parse_text(value, joined.empty() ? std::string_view(only) : std::string_view(joined), marks);
        if (has(marks, Mark::unless_zero) && value.ops->present(value.value) && is_zero(value)) value.ops->clear(value.value);
    }

    void parse_text(Scalar value, std::string_view text, Mark marks) {
        if (!text.empty() && value.ops->parse(value.value, text, marks)) return;
        if (!trim(text).empty()) {
            refuse_in_own_words(RefusalKind::invalid, "", text);
            const std::string_view expected = value.ops->expected;
            rpc::fail(From::xml, Code::xml_error, "Invalid value for element '{}': '{}'.{}{}", node_.name(), text,
                      expected.empty() ? "" : " ", expected);
        }
        if (!must_be_there(marks)) return;
        refuse_in_own_words(RefusalKind::missing, "", "");
        rpc::fail(From::xml, Code::xml_error, "Missing content of element '{}'", node_.name());
    }

    pugi::xml_node node_;
    const ReadOptions& options_;
    std::vector<Closed> closed_;
    std::vector<Order> orders_;
    std::optional<pugi::xml_node> place_; // of what is on its way up
};

bool names_other_encoding(std::string_view text) {
    if (!text.starts_with("<?xml")) return text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
    const auto declaration = text.substr(0, text.find("?>"));
    const auto at = declaration.find("encoding");
    if (at == std::string_view::npos) return false;
    std::string encoding(declaration.substr(at + 8));
    for (char& c : encoding) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return encoding.find("utf-8") == std::string::npos && encoding.find("ascii") == std::string::npos;
}

void load(pugi::xml_document& document, std::string_view text, const std::string& where, From from) {
    if (text.size() > max_size)
        rpc::fail(from, Code::xml_error, "the document has {} bytes, more than the {} that are allowed", text.size(), max_size);
    const bool other = names_other_encoding(text);
    if (!other) check_characters(text, where, from);
    const auto result =
        document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_comments | pugi::parse_ws_pcdata_single,
                             other ? pugi::encoding_auto : pugi::encoding_utf8);
    if (!result) explain_failure(text, result, where, from);
    check_shape(document, text, where, from);
}

// Says where in the document the refusal arose, unless its text does.
[[noreturn]] void rethrow_with_place(const rpc::Error& error, std::optional<std::size_t> line, const ReadOptions& options) {
    const auto from = error.from() == From::none ? rpc::from_nobody : error.from();
    if (error.detail().empty() || !line) throw rpc::Error(error.code(), error.detail(), from);
    const bool is_file = !options.where.empty() && !options.where.starts_with('('); // "(domain_definition)" names no file
    if (!is_file) rpc::fail(from, error.code(), "{} (line {})", error.detail(), *line);
    rpc::fail(from, error.code(), "{}:{}: {}", options.where, *line, error.detail());
}

} // namespace

void read_document(std::string_view text, const char* root, Slot into, const ReadOptions& options) {
    pugi::xml_document document;
    load(document, text, options.where.empty() ? fmt::format("({}_definition)", root) : options.where, options.from);
    const auto element = document.document_element();
    if (std::string_view(element.name()) != root)
        rpc::fail(From::xml, Code::xml_error, "expecting root element of '{}', not '{}'", root, element.name());
    Reader reader(element, options);
    try {
        reader.read_whole(into);
    } catch (const rpc::Error& error) {
        std::optional<std::size_t> line;
        if (const auto place = reader.place())
            line = line_of(text, static_cast<std::size_t>(std::max<std::ptrdiff_t>(place.offset_debug(), 0)));
        rethrow_with_place(error, line, options);
    }
}

} // namespace lodge::xml
