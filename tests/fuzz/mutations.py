"""Mutations of bytes, JSON and text; equal for equal seeds."""

import json
import random
from collections.abc import Iterator
from typing import Any

ODD_VALUES: list[Any] = [
    None, True, False, -1, 0, 2, 145, 1e308, -1e308, 10**27, float("nan"), float("inf"), "", "x", "../x",
    [], {}, [1], {"name": "geomstats", "kwargs": {"space": "os:system", "command": "exit 1"}},
]  # fmt: skip

SNIPPETS = [
    "(", ")", "[", "]", "{", "}", "{[1]}", "'", '"', ":", "=", ",", "@", "*", "+", "-", ".", "\\x3a", "\x00",
    "é", "os:system", "__import__('os')", "lambda: 0", "None", "True", "nan", "inf", "1e999", "9" * 27,
    "0" * 5000, "(" * 200, ".permuted(0)" * 300, "-" * 50, "\n", "\t", " ", "geomstats(space='os:system')",
]  # fmt: skip


def mutated_bytes(content: bytes, random_: random.Random) -> tuple[str, bytes]:
    """Return a file with a few bits flipped, a part cut out, doubled or overwritten, or its end missing."""
    kind = random_.choice(["flip", "cut", "double", "zero", "truncate", "append"])
    if not content:
        return "append", b"\x00"
    start = random_.randrange(len(content))
    stop = min(len(content), start + random_.randrange(1, 40))
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(random_.choice([1, 1, 3])):
            changed[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
        return f"flip near {start}", bytes(changed)
    if kind == "cut":
        return f"cut {start}:{stop}", content[:start] + content[stop:]
    if kind == "double":
        return f"double {start}:{stop}", content[:stop] + content[start:]
    if kind == "zero":
        return f"zero {start}:{stop}", content[:start] + bytes(stop - start) + content[stop:]
    if kind == "truncate":
        return f"truncate at {start}", content[:start]
    return "append", content + content[start:stop]


def mutated_json(value: Any, random_: random.Random) -> tuple[str, str]:
    """Return the text of a JSON value with one of its parts changed, renamed or removed."""
    copy = json.loads(json.dumps(value))
    places = list(_places(copy))
    holder, key, path = random_.choice(places)
    if random_.random() < 0.2:
        del holder[key]
        return f"{path} removed", json.dumps(copy)
    old = holder[key]
    if isinstance(old, int | float) and not isinstance(old, bool) and random_.random() < 0.5:
        holder[key] = old + random_.choice([10, 1, -1, 0.5])
    else:
        holder[key] = random_.choice(ODD_VALUES)
    return f"{path} = {holder[key]!r}", json.dumps(copy)


def mutated_text(text: str, random_: random.Random) -> str:
    """Return a text with one to three snippets inserted, or parts removed, doubled or exchanged."""
    for _ in range(random_.choice([1, 1, 2, 3])):
        start = random_.randrange(len(text) + 1)
        stop = min(len(text), start + random_.randrange(1, 8))
        change = random_.choice(["insert", "insert", "remove", "double", "replace"])
        middle = {"remove": "", "double": 2 * text[start:stop]}.get(change, random_.choice(SNIPPETS))
        text = text[:start] + middle + text[start if change == "insert" else stop :]
    return text


def _places(value: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    keys = range(len(value)) if isinstance(value, list) else value
    for key in keys:
        yield value, key, f"{path}.{key}"
        if isinstance(value[key], dict | list):
            yield from _places(value[key], f"{path}.{key}")
