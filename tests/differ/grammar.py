"""libvirt's RelaxNG schemas as a source of documents: which attributes, words and children an element may have, and random
subtrees that the schema allows."""

import os
import re
import re._constants as rc
import re._parser as rp
import xml.etree.ElementTree as ET

SCHEMAS = "/usr/share/libvirt/schemas"
RNG = "{http://relaxng.org/ns/structure/1.0}"
EDGES = ["0", "1", "-1", "2", "7", "8", "31", "32", "255", "256", "1024", "65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "0x10", "", "abc"]
WORDS = ["a", "b", "vda", "sda", "hdc", "net0", "default", "virbr0", "eth0", "test", "/tmp/x", "x86_64", "pc", "q35"]


class Grammar:
    def __init__(self, file):
        self.defines, self.start = {}, None
        self.load(file, set())

    def load(self, file, seen):
        if file in seen:
            return
        seen.add(file)
        self.read(ET.parse(os.path.join(SCHEMAS, file)).getroot(), seen)

    def read(self, root, seen):
        for node in root:
            if node.tag == RNG + "include":
                self.load(node.get("href"), seen)
                self.read(node, seen)  # overriding definitions
            elif node.tag == RNG + "div":
                self.read(node, seen)
            elif node.tag == RNG + "start":
                self.start = node
            elif node.tag == RNG + "define":
                old = self.defines.get(node.get("name"))
                if old is not None and node.get("combine") == "choice":
                    both = ET.Element(RNG + "define", name=node.get("name"))
                    choice = ET.SubElement(both, RNG + "choice")
                    choice.extend(list(old) + list(node))
                    node = both
                self.defines[node.get("name")] = node

    def parts(self, node, kind, seen=()):
        """Patterns of that kind (element, attribute, value, data) below node that belong to the same element."""
        for child in node:
            if child.tag == RNG + kind:
                yield child
            elif child.tag == RNG + "ref":
                name = child.get("name")
                if name not in seen and name in self.defines:
                    yield from self.parts(self.defines[name], kind, seen + (name,))
            elif child.tag not in (RNG + "element", RNG + "attribute"):
                yield from self.parts(child, kind, seen)

    def at(self, path):
        """The element patterns for a path of element names, from the root on."""
        found = [e for e in self.parts(self.start, "element") if e.get("name") == path[0]]
        for name in path[1:]:
            found = [e for f in found for e in self.parts(f, "element") if e.get("name") == name]
        return found

    def words(self, pattern):
        return [v.text or "" for v in self.parts(pattern, "value")]

    # ---- random content ----

    def element(self, pattern, random, depth=0):
        made = ET.Element(pattern.get("name") or "any")
        if pattern.get("ns", "").endswith("qemu/1.0"):
            made.tag = "{%s}%s" % (pattern.get("ns"), made.tag)
        self.fill(pattern, made, random, depth)
        return made

    def fill(self, node, into, random, depth):
        for child in node:
            self.one(child, into, random, depth)

    def one(self, node, into, random, depth):
        kind = node.tag.removeprefix(RNG)
        if kind == "element":
            into.append(self.element(node, random, depth + 1))
        elif kind == "attribute":
            into.set(node.get("name") or "any", self.scalar(node, random))
        elif kind == "choice":
            self.one(random.choice(list(node)), into, random, depth)
        elif kind == "optional":
            if random.random() < (0.6 if depth < 1 else 0.4):
                self.fill(node, into, random, depth)
        elif kind in ("zeroOrMore", "oneOrMore"):
            for _ in range(random.choice([0, 1, 1, 2]) or (kind == "oneOrMore")):
                self.fill(node, into, random, depth)
        elif kind == "ref":
            if depth < 8:
                self.fill(self.defines[node.get("name")], into, random, depth)
        elif kind in ("text", "value", "data", "list"):
            into.text = self.scalar_of(node, random)
        elif kind in ("group", "interleave"):
            self.fill(node, into, random, depth)

    def scalar(self, node, random):
        children = [c for c in node if c.tag not in (RNG + "name", RNG + "anyName")]
        return self.scalar_of(children[0], random) if children else random.choice(WORDS)

    def scalar_of(self, node, random):
        kind = node.tag.removeprefix(RNG)
        if kind == "value":
            return node.text or ""
        if kind == "choice":
            return self.scalar_of(random.choice(list(node)), random)
        if kind == "ref":
            children = list(self.defines[node.get("name")])
            return self.scalar_of(children[0], random) if children else ""
        if kind == "data":
            return data(node, random)
        if kind == "text":
            return random.choice(WORDS)
        if kind == "list":
            return " ".join(self.scalar_of(c, random) for c in node)
        children = list(node)
        return self.scalar_of(children[0], random) if children else ""


def data(node, random):
    limits = {p.get("name"): p.text for p in node}
    if "pattern" in limits:
        return sample(limits["pattern"], random)
    kind = node.get("type")
    if kind in ("string", "NCName", "anyURI"):
        return random.choice(WORDS)
    if kind == "dateTime":
        return "2020-02-02T02:02:02"
    low = int(limits.get("minInclusive", 0 if "nsigned" in kind or kind == "positiveInteger" else -2))
    high = int(limits.get("maxInclusive", 70000))
    return str(random.choice([low, min(high, low + 1), min(high, 2), min(high, 16), high, random.randint(low, max(low, high))]))


def sample(pattern, random):
    try:
        return "".join(sample_tokens(rp.parse(pattern.replace(r"\-", "-") if "[" not in pattern else pattern), random))
    except (re.error, OverflowError):
        return "a"


def sample_tokens(tokens, random):
    for op, arg in tokens:
        if op == rc.LITERAL:
            yield chr(arg)
        elif op == rc.ANY:
            yield random.choice("ab/")
        elif op == rc.NOT_LITERAL:
            yield random.choice([c for c in "abc" if ord(c) != arg])
        elif op == rc.IN:
            yield random.choice(in_set(arg))
        elif op in (rc.MAX_REPEAT, rc.MIN_REPEAT):
            low, high, inner = arg
            for _ in range(random.randint(low, min(high, low + 4))):
                yield from sample_tokens(inner, random)
        elif op == rc.SUBPATTERN:
            yield from sample_tokens(arg[-1], random)
        elif op == rc.BRANCH:
            yield from sample_tokens(random.choice(arg[1]), random)


def in_set(items):
    negative = items and items[0][0] == rc.NEGATE
    chars = set()
    for op, arg in items:
        if op == rc.LITERAL:
            chars.add(chr(arg))
        elif op == rc.RANGE:
            chars.update(chr(c) for c in range(arg[0], min(arg[1], 126) + 1))
        elif op == rc.CATEGORY:
            chars.update("0123456789" if arg == rc.CATEGORY_DIGIT else "ab1")
    return sorted(set("abcXYZ012") - chars if negative else chars) or ["a"]
