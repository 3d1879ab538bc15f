"""Python source as text: its lines as Python counts them, whether it parses, whether it compiles."""

from __future__ import annotations

import ast
import re
import threading
import warnings

LARGEST = 500_000  # characters; a megabyte of brackets takes the parser seconds, during which nothing else runs
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class Unparsable(ValueError):  # noqa: N818 - a state of the text, said as such
    """The text is not Python source that this interpreter can parse; the message says why."""


# Python 3.11's parser counts its depth for all threads together and falls over its own count; warning filters,
# too, belong to the whole process.
_ONE_AT_A_TIME = threading.Lock()


def split_lines(text: str) -> list[str]:
    r"""Lines with their ends, as Python's tokenizer counts them: only \n, \r\n and \r end a line."""
    return _LINE.findall(text)


def normalise(text: str) -> str:
    r"""A genome's text as it is archived: \n line ends, one newline at the end, no byte order mark."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") or not text else text + "\n"


def parse_alone(source: str, mode: str = "exec") -> ast.AST:
    """`ast.parse` without warnings, one thread at a time: two at once can raise SystemError on Python 3.11.

    Raises ValueError for a source that is longer than LARGEST, and whatever `ast.parse` may raise.
    """
    if len(source) > LARGEST:
        raise ValueError(f"longer than {LARGEST} characters")
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a genome is not the user's concern
        return ast.parse(source, mode=mode)


def syntax_tree(source: str) -> ast.Module:
    """`ast.parse` without warnings. Raises Unparsable for everything that `ast.parse` may raise."""
    try:
        tree = parse_alone(source)
    except SyntaxError as error:
        raise Unparsable(f"line {error.lineno or '?'}: {error.msg}") from error
    except ValueError as error:  # null bytes, lone surrogates
        raise Unparsable(str(error)) from error
    except (RecursionError, MemoryError) as error:
        raise Unparsable("nested too deeply") from error
    assert isinstance(tree, ast.Module)  # the mode says so
    return tree


def same_program(first: str, second: str) -> bool:
    """Whether two sources differ in comments and formatting at most. Raises Unparsable."""
    try:
        return ast.dump(syntax_tree(first)) == ast.dump(syntax_tree(second))
    except RecursionError as error:  # a few hundred `elif` in a row are enough
        raise Unparsable("nested too deeply") from error


def compiles(source: str) -> bool:
    """Whether Python accepts the source: some errors, a stray `return` for one, show only here."""
    if len(source) > LARGEST:
        return False
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<genome>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
