"""What an edit touches that a genome has no business with: seeds, the harness, files, processes, sockets, frames.

A flag is no verdict. It names a line that a person, or a second scoring in another process, should look at. Only what
is new against the parents counts. What is hidden well is not found: that is left to the sandbox and the second scoring.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evolve.variation.source import Unparsable, split_lines, syntax_tree

MOST = 20  # flags of one edit that are told
LONGEST_LINE = 120  # characters of a flagged line


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HARMLESS = _words("""
    __future__ abc array bisect cmath collections contextlib copy dataclasses decimal einops enum fractions functools
    gpt heapq itertools json math numbers numpy operator random re statistics string textwrap time torch typing
    typing_extensions warnings
""")
_BUILTINS = _words("""
    open eval exec compile __import__ __builtins__ __loader__ __spec__ globals locals vars breakpoint input
""")
_BY_NAME = _words("getattr setattr delattr hasattr")
_SEEDS = _words("""
    manual_seed manual_seed_all seed seed_all initial_seed default_rng RandomState SeedSequence set_rng_state setstate
    set_state fork_rng get_rng_state default_generator
""")
_FILES = _words("""
    load save fromfile tofile memmap open_memmap loadtxt savetxt genfromtxt from_file load_library load_inline savez
    load_state_dict_from_url UntypedStorage
""")
_METHODS = _words("""
    eval train __del__ __torch_function__ __torch_dispatch__ __getattribute__ __getattr__ __reduce__ __reduce_ex__
    parameters named_parameters buffers named_buffers modules named_modules state_dict
""")  # through which a model can act while it is scored, where it defines or replaces them
_HOOKS = _words("""
    TorchDispatchMode TorchFunctionMode register_forward_hook register_forward_pre_hook register_module_forward_hook
    register_module_forward_pre_hook register_load_state_dict_post_hook
""")
_COMMON = _words("""
    __init__ __call__ __len__ __getitem__ __setitem__ __iter__ __next__ __name__ __main__ __post_init__ __repr__ __str__
    __enter__ __exit__ __contains__ __doc__ __version__ __all__ __file__
""")
_FRAMES = re.compile(
    r"__\w+__|(f|gi|cr|ag)_(back|locals|globals|frame|code|builtins)|tb_frame|tb_next|_getframe|_current_frames"
)
_SYSTEM = re.compile(
    r"torch\.(multiprocessing|distributed|hub|package|serialization|classes|utils\.(cpp_extension|collect_env)|_C)\b"
)
_CONFIGURATION = re.compile(r"torch\.(backends|_dynamo\.config|_inductor\.config|_functorch\.config)\.")
_TEXTS = re.compile(r"GPT_[A-Z]|/proc\b|/dev/|/sys/|/tmp\b|val_bpb|__(?!main__)\w+__")
# Lines without any of this hold nothing to flag; most edits end here, and need not be parsed.
_CHANGE = r"\w\.\w.*=(?!=)|=\s*$|^\s*[.=)\]]|\\$|\b(del|for|as)\b.*\w\.\w"
_NAMES = "|".join(sorted(_BUILTINS | _BY_NAME | _SEEDS | _FILES | _METHODS | _HOOKS))
_SUSPECT = re.compile(
    rf"import|\._|__|_(back|locals|globals|frame)|{_CHANGE}|\b({_NAMES})\b|{_TEXTS.pattern}|[^\x00-\x7f]"
)


@dataclass(frozen=True)
class Flag:
    """`what` is equal for equal things wherever they stand, so that a moved line is nothing new."""

    what: str
    line: int


def new_flags(genome: str, parents: Sequence[str]) -> list[str]:
    """What the genome touches that none of its parents does, each as `line 12: what: the line itself`.

    Nothing for a genome that cannot be parsed: it will not run either.
    """
    if parents and not any(map(_SUSPECT.search, _new_lines(genome, parents))):
        return []
    try:
        flags = found(genome)
        before = [Counter(flag.what for flag in found(parent)) for parent in parents]
    except Unparsable:
        return []
    allowed: Counter[str] = Counter()
    for counts in before:
        allowed |= counts
    lines = split_lines(genome)
    new = []
    for flag in flags:
        if allowed[flag.what] > 0:
            allowed[flag.what] -= 1
            continue
        text = lines[flag.line - 1].strip()
        new.append(f"line {flag.line}: {flag.what}: {text[:LONGEST_LINE]}")
    more = len(new) - MOST
    return [*new[:MOST], f"and {more} more"] if more > 0 else new


def _new_lines(genome: str, parents: Sequence[str]) -> Iterator[str]:
    """Those that no parent has, or has less often."""
    left: Counter[str] = Counter()
    for parent in parents:
        left |= Counter(map(str.strip, split_lines(parent)))
    for line in split_lines(genome):
        if left[line.strip()] > 0:
            left[line.strip()] -= 1
        else:
            yield line


def found(source: str) -> list[Flag]:
    """Everything in a genome that a flag is for, in order of lines. Raises Unparsable."""
    tree = syntax_tree(source)
    names = _imported(tree)
    flags = [
        Flag(what, node.lineno) for node in ast.walk(tree) for what in _looks(node, names) if hasattr(node, "lineno")
    ]
    return sorted(dict.fromkeys(flags), key=lambda flag: flag.line)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Full names of what imports bind: `import torch.nn.functional as F` gives {"F": "torch.nn.functional"}."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    return names


def _looks(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _import(alias.name)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield from _import(f"{node.module or ''}.{alias.name}")
    elif isinstance(node, ast.Name):
        yield from _name(node)
    elif isinstance(node, ast.Attribute):
        yield from _attribute(node, names)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BY_NAME:
        yield from _by_name(node, names)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in _METHODS:
        yield f"definition of {node.name}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := _TEXTS.search(node.value)):
        yield f"the text '{match.group()}'"


def _import(name: str) -> Iterator[str]:
    root, last = name.partition(".")[0], name.rpartition(".")[2]
    ours = root == "gpt" and name not in ("gpt", "gpt.start")
    if root not in _HARMLESS or ours or _SYSTEM.match(name) or last == "*" or last in _SEEDS | _FILES:
        yield f"import of {name}"


def _name(node: ast.Name) -> Iterator[str]:
    if node.id in _BUILTINS or (_FRAMES.fullmatch(node.id) and node.id not in _COMMON):
        yield f"use of {node.id}"


def _attribute(node: ast.Attribute, names: dict[str, str]) -> Iterator[str]:
    root, path = _path(node)
    full = f"{names[root]}.{path}" if root in names else None
    if not isinstance(node.ctx, ast.Load):
        if full is not None and not _CONFIGURATION.match(full):
            yield f"change of {full}"
        elif root == "run":
            yield f"change of run.{path}"
    if node.attr in _SEEDS or (root == "run" and path == "seed"):
        yield f"seeds: {full or node.attr}"
    elif full is not None and (node.attr in _FILES or _SYSTEM.match(full)):
        yield f"files and processes: {full}"
    elif node.attr in _HOOKS or (_FRAMES.fullmatch(node.attr) and node.attr not in _COMMON):
        yield f"use of .{node.attr}"
    elif node.attr in _METHODS and not isinstance(node.ctx, ast.Load) and root != "self":
        yield f"change of .{node.attr}"
    elif node.attr.startswith("_") and not node.attr.startswith("__") and root not in ("self", "cls", "torch"):
        yield f"private name .{node.attr}"


def _by_name(node: ast.Call, names: dict[str, str]) -> Iterator[str]:
    """`getattr` and its like: on an imported module, on the run, with a name that is computed or is private."""
    assert isinstance(node.func, ast.Name)
    target, rest = node.args[0] if node.args else None, node.args[1:]
    root = target.id if isinstance(target, ast.Name) else _path(target)[0] if isinstance(target, ast.Attribute) else ""
    name = rest[0].value if rest and isinstance(rest[0], ast.Constant) else None
    if root in names or root == "run" or not isinstance(name, str) or name.startswith("_") or name in _SEEDS | _METHODS:
        yield f"{node.func.id} by name"


def _path(node: ast.Attribute) -> tuple[str, str]:
    """The name at an attribute's root ("" where it is no name) and the dotted rest."""
    parts = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    return value.id if isinstance(value, ast.Name) else "", ".".join(reversed(parts))
