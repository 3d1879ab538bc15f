"""Texts that are hard on whoever reads them: made here, because as files they would be megabytes or no text."""

from __future__ import annotations

HEAD = "WIDTH = 2.0  # range: 0.5..8 log\nDEPTH = 3  # range: 1..12\n"
BODIES = {
    "a line of 5 MB": "text = '" + "x" * 5_000_000 + "'",
    "a list of 600 KB in a line": "numbers = [" + "1, " * 200_000 + "]",
    "a comment of 600 KB": "#" + "x" * 600_000,
    "no UTF-8": "name = '\udcff\udcfe'",
    "half a surrogate": "name = '\ud800'",
    "a null byte": "x = 1\0",
    "open brackets": "x = " + "(" * 100_000,
    "brackets within brackets": "x = " + "[" * 190 + "]" * 190 + "  # choices: 1 2",
    "signs": "X = " + "-" * 90_000 + "1  # range: 0..1",
    "signs that still parse": "X = " + "-" * 2_500 + "1  # range: 0..1",
    "signs in a choice": "X = 1  # choices: 1 " + "-" * 5_000 + "2",
    "attributes": "x = a" + ".b" * 20_000,
    "attributes that still parse": "x = a" + ".b" * 2_500,
    "a sum": "x = " + "+".join(["1"] * 20_000),
    "a row of elif": "if a: pass\n" + "elif a: pass\n" * 5_000,
    "a row of elif that still parses": "if a: pass\n" + "elif a: pass\n" * 900,
    "blocks within blocks": "".join(f"{' ' * depth}if a:\n" for depth in range(500)) + " " * 500 + "pass",
    "lambdas": "x = " + "lambda: " * 500 + "1",
    "an f-string": 'x = f"{' * 200,
    "a number of 5,000 digits": "X = " + "9" * 5_000 + "  # range: 0..1",
}
TEXTS = {name: f"{HEAD}{body}\n" for name, body in BODIES.items()}
