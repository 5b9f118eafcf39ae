// The visitors, on a small document that has one of everything.
#include "tests/catch.hpp"
#include "xml/describe.hpp"

namespace lodge::xml {

namespace {

enum class Kind { file, block };
std::span<const std::string_view> enum_words(Kind) {
    static constexpr std::string_view w[] = {"file", "block"};
    return w;
}
struct Target {
    std::string dev;
    std::optional<unsigned> rate;
};
void describe(Doc& doc, Target& target) {
    doc.required("dev", target.dev);
    doc.attribute("rate", target.rate);
}
struct Item {
    Kind kind = Kind::file;
    std::string file, device;
    std::optional<Target> target;
    Box<Item> backing;
    bool readonly = false;
    std::vector<std::string> names;
    std::string runtime, password;
};
void describe(Doc& doc, Item& item) {
    doc.attribute("type", item.kind);
    doc.group("source", [&] {
        if (doc.when(item.kind == Kind::file)) doc.attribute("file", item.file, Mark::host);
        if (doc.when(item.kind == Kind::block)) doc.attribute("dev", item.device);
        doc.group("auth", [&] { doc.attribute("password", item.password, Mark::secret); });
    });
    doc.child("target", item.target);
    doc.flag("readonly", item.readonly);
    doc.list("name", item.names);
    doc.text_child("runtime", item.runtime, Mark::live);
    doc.child("backing", item.backing);
}
struct Argument {
    std::string value;
};
void describe(Doc& doc, Argument& argument) { doc.required("value", argument.value); }
struct Sample {
    std::string name;
    std::string metadata;
    std::vector<Item> items;
    std::vector<Argument> arguments;
};
void describe(Doc& doc, Sample& sample) {
    doc.text_child("name", sample.name);
    doc.raw("metadata", sample.metadata);
    doc.group("devices", [&] { doc.list("item", sample.items); });
    doc.group("qemu:commandline", [&] { doc.list("qemu:arg", sample.arguments); });
}

Sample read(std::string_view text, const ReadOptions& options = {}) { return parse<Sample>(text, "sample", options); }

rpc::Error refusal(std::string_view text, const ReadOptions& options = {}) {
    try {
        read(text, options);
    } catch (const rpc::Error& error) {
        return error;
    }
    FAIL("not refused");
    return {Code::ok, ""};
}

} // namespace

TEST_CASE("a document reads and writes as libvirt formats it") {
    const auto text = R"(<sample>
  <name>a &lt;b&gt; &amp; &apos;c&apos; &quot;d&quot;</name>
  <devices>
    <item type='file'>
      <source file='/x'/>
      <target dev='vda' rate='7200'/>
      <readonly/>
      <name>one</name>
      <name/>
      <backing type='block'>
        <source dev='/dev/sda'/>
      </backing>
    </item>
    <item type='block'/>
  </devices>
</sample>
)";
    CHECK(format(read(text), "sample") == text);
    CHECK(format(Sample{}, "sample") == "<sample/>\n");
}

TEST_CASE("what the description does not know is ignored") {
    const auto sample =
        read("<sample new='1'><other><name>no</name></other><name>yes</name><devices><unknown/></devices></sample>");
    CHECK(sample.name == "yes");
    CHECK(sample.items.empty());
}

TEST_CASE("text is joined around comments, CDATA counts") {
    CHECK(read("<sample><name>a<!-- no -->b<![CDATA[<c>]]></name></sample>").name == "ab<c>");
}

TEST_CASE("live facts and secrets appear only when asked for") {
    const auto text =
        "<sample><devices><item><source file='/x'><auth password='p'/></source><runtime>7</runtime></item></devices></sample>";
    CHECK(read(text).items[0].runtime.empty());
    const auto sample = read(text, {.live = true});
    CHECK(format(sample, "sample", {.live = false}).find("runtime") == std::string::npos);
    CHECK(format(sample, "sample").find("<runtime>7</runtime>") != std::string::npos);
    CHECK(format(sample, "sample").find("auth") == std::string::npos);
    CHECK(format(sample, "sample", {.secret = true}).find("<auth password='p'/>") != std::string::npos);
}

TEST_CASE("elements of other namespaces are found by URI") {
    const auto sample = read("<sample xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
                             "<q:commandline><q:arg value='-x'/></q:commandline></sample>");
    REQUIRE(sample.arguments.size() == 1);
    CHECK(format(sample, "sample") == R"(<sample xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <qemu:commandline>
    <qemu:arg value='-x'/>
  </qemu:commandline>
</sample>
)");
    CHECK(read("<sample><qemu:commandline><qemu:arg value='-x'/></qemu:commandline></sample>").arguments.empty());
    CHECK(read("<sample><commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'><arg value='-x'/></commandline></sample>")
              .arguments.size() == 1);
}

TEST_CASE("metadata is kept as libxml2 prints it") {
    const auto sample =
        read("<sample><metadata><x:y xmlns:x='http://a' a=\"1'2\" b='\"'><z/>t&lt;&gt;&quot;&apos;<z> a <q/></z></x:y>"
             "<!-- c --><k/><x:y xmlns:x='http://a'/><u xmlns='http://b'>\n<v>\n</v><w><p/><q/></w></u></metadata></sample>");
    const auto text = format(sample, "sample");
    CHECK(text == R"(<sample>
  <metadata>
    <x:y xmlns:x="http://a" a="1'2" b="&quot;"><z/>t&lt;&gt;"'<z> a <q/></z></x:y>
    <u xmlns="http://b">
      <v>
</v>
      <w>
        <p/>
        <q/>
      </w>
    </u>
  </metadata>
</sample>
)");
    CHECK(format(read(text), "sample") == text);
}

TEST_CASE("refusals name element, attribute, value and line") {
    const auto bad = refusal("<sample>\n<devices>\n<item type='tape'/></devices></sample>");
    CHECK(bad.code() == Code::xml_error);
    CHECK(bad.from() == From::xml);
    CHECK(bad.message() == "XML error: Invalid value for attribute 'type' in element 'item': 'tape'. (line 3)");
    const auto number = refusal("<sample><devices><item><target dev='a' rate='fast'/></item></devices></sample>");
    CHECK(number.detail() ==
          "Invalid value for attribute 'rate' in element 'target': 'fast'. Expected non-negative integer value (line 1)");
    const auto missing = refusal("<sample><devices><item><target/></item></devices></sample>", {.where = "/etc/x.xml"});
    CHECK(missing.detail() == "/etc/x.xml:1: Missing required attribute 'dev' in element 'target'");
    CHECK(refusal("<domain/>").detail() == "expecting root element of 'sample', not 'domain'");
}

TEST_CASE("malformed text is refused with place and cause") {
    const auto cause = [](std::string_view text) {
        const auto error = refusal(text, {.from = From::domain});
        CHECK(error.code() == Code::xml_detail);
        CHECK(error.from() == From::domain);
        return error.message().substr(0, error.message().find('\n'));
    };
    CHECK(refusal("<sample><a></b></sample>").message() ==
          "(sample_definition):1: Opening and ending tag mismatch: a line 1 and b\n<sample><a></b></sample>\n---------------^");
    CHECK(cause("") == "(sample_definition):1: Document is empty");
    CHECK(cause("abc") == "(sample_definition):1: Start tag expected, '<' not found");
    CHECK(cause("<sample>\n<name>x") == "(sample_definition):2: Premature end of data in tag name line 2");
    CHECK(cause("<sample>\n<name>&foo;</name></sample>") == "(sample_definition):2: Entity 'foo' not defined");
    CHECK(cause("<!DOCTYPE s [<!ENTITY b 'c'>]><sample><name>&b;</name></sample>") ==
          "(sample_definition):1: Entity 'b' not defined");
    CHECK(cause("<sample a='1' a='2'/>") == "(sample_definition):1: Attribute a redefined");
    CHECK(cause("<sample/><sample/>") == "(sample_definition):1: Extra content at the end of the document");
    CHECK(cause("<sample>\x01</sample>") == "(sample_definition):1: PCDATA invalid Char value 1");
    CHECK(cause("<sample>\xff</sample>") == "(sample_definition):1: Input is not proper UTF-8, indicate encoding !");
    std::string deep = "<sample>", end = "</sample>";
    for (int i = 0; i < 100'000; ++i) deep += "<a>", end.insert(0, "</a>");
    CHECK(cause(deep + end).find("Excessive depth") != std::string::npos);
}

TEST_CASE("big hostile documents cost little") {
    const auto repeat = [](std::string_view text, std::size_t count) {
        std::string all;
        for (std::size_t i = 0; i < count; ++i) all += text;
        return all;
    };
    CHECK(read("<sample><name><![CDATA[" + repeat("&<!--", 500'000) + "]]></name></sample>").name.size() == 2'500'000);
    std::string many = "<sample";
    for (unsigned i = 0; i < 100'000; ++i) many += fmt::format(" a{}='1'", i);
    CHECK(read(many + "/>").items.empty());
    std::string spaces = "<sample><metadata>";
    for (unsigned i = 0; i < 50'000; ++i) spaces += fmt::format("<a xmlns='u{}'/>", i);
    CHECK(read(spaces + "</metadata></sample>").metadata.size() > 1'000'000);
    CHECK(refusal(std::string(20'000'000, ' ')).code() == Code::xml_error);
}

TEST_CASE("numbers are read as C reads them") {
    const auto number = [](const char* text, Mark marks) {
        std::uint64_t value = 0;
        return parse_unsigned(text, value, marks) ? std::to_string(value) : "refused";
    };
    CHECK(number("0787", Mark::none) == "787");
    CHECK(number(" \t+7", Mark::none) == "7");
    for (const char* text : {"", " ", "0x10", "7 ", "-1", "+-1", "18446744073709551616", "7a"})
        CHECK(number(text, Mark::none) == "refused");
    CHECK(number("0x10", Mark::any_base) == "16");
    CHECK(number("010", Mark::any_base) == "8");
    CHECK(number("0", Mark::any_base) == "0");
    CHECK(number("0787", Mark::any_base) == "refused");
    CHECK(number("0Xff", Mark::hex) == "255");
    CHECK(number("ff", Mark::hex) == "255");
    CHECK(number("755", Mark::octal) == "493");
    CHECK(number("-1", Mark::wraps) == "18446744073709551615");
    std::uint32_t word = 0;
    CHECK((parse_word("-1", word, Mark::wraps) && word == 4294967295U));
    CHECK_FALSE(parse_word("4294967296", word, Mark::none));
    std::int64_t wide = 0;
    CHECK((parse_signed("-9223372036854775808", wide) && wide == INT64_MIN));
    CHECK_FALSE(parse_signed("9223372036854775808", wide));
    std::uint32_t index = 0;
    CHECK(scalar(index).ops->parse(&index, "2147483647", Mark::natural));
    CHECK_FALSE(scalar(index).ops->parse(&index, "2147483648", Mark::natural));
}

TEST_CASE("documents are compared fact by fact") {
    const auto a = read("<sample><name>a</name><devices><item><source file='/x'/><target dev='vda'/></item></devices></sample>");
    const auto b = read("<sample><name>b</name><devices><item><source file='/y'/><readonly/></item></devices></sample>");
    CHECK(compare(a, a, "sample").empty());
    CHECK(compare(a, b, "sample") == std::vector<std::string>{"sample/devices/item[1]/readonly: (none) -> present",
                                                              "sample/devices/item[1]/target: present -> (none)",
                                                              "sample/devices/item[1]/target/@dev: vda -> (none)",
                                                              "sample/name: a -> b"});
    CHECK(compare(a, b, "sample", Mark::none).size() == 5);
}

TEST_CASE("random documents read back as they were written") {
    for (unsigned seed = 0; seed < 300; ++seed) {
        Random random(seed);
        const auto sample = random_value<Sample>(random);
        const WriteOptions options{.live = true, .secret = true, .private_ = true};
        const auto text = format(sample, "sample", options);
        const auto again = read(text, {.live = true, .private_ = true});
        REQUIRE(format(again, "sample", options) == text);
        REQUIRE(compare(sample, again, "sample", Mark::none).empty());
    }
}

TEST_CASE("the outline names every path once") {
    const auto paths = outline<Sample>("sample");
    const auto has = [&](std::string_view path) { return std::ranges::count(paths, path) == 1; };
    CHECK(has("sample/devices/item/source/@file"));
    CHECK(has("sample/devices/item/source/@dev"));
    CHECK(has("sample/devices/item/backing"));
    CHECK(has("sample/metadata"));
    CHECK(has("sample/qemu:commandline/qemu:arg/@value"));
}

// ---- which of several mistakes is told ----

namespace {

struct Plan {
    unsigned first = 0, second = 0;
    std::vector<Target> targets;
    std::vector<unsigned> numbers;
};
constexpr std::string_view plan_order[] = {"@second", "parts/target", "@first"};
void describe(Doc& doc, Plan& plan) {
    doc.read_in_order(plan_order);
    doc.attribute("first", plan.first);
    doc.attribute("second", plan.second);
    doc.group(
        "parts",
        [&] {
            doc.list("number", plan.numbers);
            doc.list("target", plan.targets);
        },
        Mark::joined);
    doc.check("parts/target", [&] {
        if (plan.targets.size() > 2) rpc::fail(From::domain, Code::config_unsupported, "too many");
    });
}

std::string told(std::string_view text, ReadOptions options = {}) {
    try {
        parse<Plan>(text, "plan", options);
    } catch (const rpc::Error& error) {
        return error.detail();
    }
    return "nothing";
}

} // namespace

TEST_CASE("the mistake that is told is the first in the order of reading") {
    const auto tells = [](std::string_view text, std::string_view part) { return told(text).find(part) != std::string::npos; };
    CHECK(tells("<plan first='x' second='y'/>", "'second'"));
    CHECK(tells("<plan first='x'><parts><target/></parts></plan>", "'dev'"));
    CHECK(tells("<plan first='x'><parts><number>z</number></parts></plan>", "'first'")); // others come last
    CHECK(tells("<plan>\n<parts>\n<target/><target dev='a' rate='z'/></parts></plan>", "'dev' in element 'target' (line 3)"));
    CHECK(told("<plan first='x'><parts><target dev='a'/><target dev='b'/><target dev='c'/></parts></plan>") == "too many");
    CHECK(told("<plan first='1' second='2'/>") == "nothing");
}

TEST_CASE("what has been checked before is not checked again") {
    constexpr std::string_view three = "<plan><parts><target dev='a'/><target dev='b'/><target dev='c'/></parts></plan>";
    CHECK(told(three) == "too many");
    CHECK(told(three, {.checked = true}) == "nothing");
}

TEST_CASE("joined elements are read as one") {
    const auto plan = parse<Plan>("<plan><parts><target dev='a'/></parts><parts><target dev='b'/></parts></plan>", "plan");
    REQUIRE(plan.targets.size() == 2);
    CHECK(plan.targets.back().dev == "b");
}

} // namespace lodge::xml
