"""Command lines (domxml-to-native) one option per line, in an order of their own: QEMU's order is nobody's concern."""

import json
import re
import shlex

BY_CALL = ("fd", "data", "iv")  # another value each time


def value(word):
    try:
        members = json.loads(word)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        return re.sub(r"\bfds?=[0-9:]+", "fd=*", word)
    return json.dumps({name: "*" if name in BY_CALL else member for name, member in members.items()}, sort_keys=True)


def lines(text):
    words = shlex.split(text)
    found, at = [], 0
    while at < len(words):
        follows = at + 1 < len(words) and words[at].startswith("-") and not words[at + 1].startswith("-")
        found.append(f"{words[at]} {value(words[at + 1])}" if follows else words[at])
        at += 2 if follows else 1
    return "\n".join(sorted(found))
