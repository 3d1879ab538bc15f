"""What an edit touches: found by the syntax, told with its line, and only where it is new."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.arena import load
from evolve.flags import MOST, found, new_flags

SEED = load("gpt_cpu").seed_genome
MARK = "def norm(x):"
SUSPECT = [
    "import os",
    "from gpt import run as harness",
    "from torch import load",
    "import torch.multiprocessing",
    "torch.manual_seed(3)",
    "g = torch.Generator().manual_seed(3)",
    "a = run.seed",
    "F.cross_entropy = print",
    "torch.Tensor.backward = None",
    "nn.Linear.forward, a = print, 1",
    "for torch.x in []: pass",
    "run.box = 60",
    "del gpt.start",
    "b = run._clock",
    "c = (lambda: 0).__globals__",
    "d = [].__class__.__subclasses__()",
    "open('x')",
    "e = open",
    "eval('1')",
    "getattr(torch, 'lo' + 'ad')",
    "setattr(run, 'box', 60)",
    "torch.save({}, 'x')",
    "def eval(self): pass",
    "class Late(nn.Module): __del__ = print",
    "h = 'GPT_REPORT_FD'",
    "i = '/proc/self/fd'",
    "\uff4f\uff53 = 1; import os",
    "x = GPT.eval; GPT.eval = None",
    "model.register_forward_hook(print)",
]
HARMLESS = [
    "import math",
    "import torch.nn.functional as G",
    "torch.backends.cuda.matmul.allow_tf32 = True",
    "self_x = torch._foreach_norm([])",
    "model.eval()",
    "p = list(model.parameters())",
    "class Block2(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.scale = 2.0",
    "WIDTH2 = 96  # range: 1..128",
]


def edited(line: str) -> str:
    return SEED.replace(MARK, f"{line}\n\n\n{MARK}")


@pytest.mark.parametrize("line", SUSPECT)
def test_what_a_genome_has_no_business_with_is_told_with_its_line(line: str) -> None:
    flags = new_flags(edited(line), [SEED])
    number = SEED[: SEED.index(MARK)].count("\n") + 1
    assert flags and all(flag.startswith(f"line {number}: ") and line.strip() in flag for flag in flags)


@pytest.mark.parametrize("line", HARMLESS)
def test_changes_of_a_model_and_its_training_are_not_flagged(line: str) -> None:
    assert new_flags(edited(line), [SEED]) == []


@pytest.mark.parametrize("arena", ["gpt_cpu"])
def test_the_seed_genomes_hold_nothing_to_flag(arena: str) -> None:
    assert found(load(arena).seed_genome) == []


def test_what_a_parent_does_already_is_not_new_but_doing_it_twice_is() -> None:
    once = edited("import os")
    assert new_flags(once.replace("WIDTH = 64", "WIDTH = 96"), [once]) == []
    assert new_flags(f"\n\n{once}", [once]) == []
    assert new_flags(once, [SEED, once]) == []  # a crossover of the two
    assert len(new_flags(once.replace(MARK, f"import os\n{MARK}"), [once])) == 1


def test_many_are_counted_and_what_does_not_parse_has_none() -> None:
    many = new_flags(edited("\n".join(f"open({n})" for n in range(MOST + 5))), [SEED])
    assert len(many) == MOST + 1 and many[-1] == "and 5 more"
    for broken in ("def", "(" * 5000, "x = '\0'", "\ud800"):
        assert new_flags(broken, [SEED]) == []


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.lists(st.sampled_from([*SUSPECT, *HARMLESS]), max_size=4), st.lists(st.sampled_from(SUSPECT), max_size=2))
def test_the_quick_look_at_new_lines_misses_nothing(new: list[str], old: list[str]) -> None:
    parent = edited("\n".join(old)) if old else SEED
    child = parent.replace(MARK, "\n".join([*new, MARK]))
    known = [flag.what for flag in found(parent)]
    wanted = []
    for flag in found(child):
        if flag.what in known:
            known.remove(flag.what)
        else:
            wanted.append(flag.what)
    told = new_flags(child, [parent])
    assert len(told) == min(len(wanted), MOST + 1) or len(wanted) > MOST
