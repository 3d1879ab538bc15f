"""Catalogue mutation: reads search spaces from comments, stays inside them, and touches nothing else."""

from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.errors import UserError
from evolve.variation.catalogue import Range, constants, mutate, substitute
from evolve.variation.source import Unparsable

GENOME = '''\
"""A genome."""
import gpt  # range: this is no constant

MATRIX_LR = 0.02  # range: 0.005..0.08 log
DEPTH = 4  # range: 2..8
DECAY: float = 0  # range: 0..0.5
BATCH = 64  # choices: 32 64 128
ACTIVATION = "relu2"  # choices: relu2 gelu silu
TIED = True  # choices: True False; share the embedding
BIAS = -0.5  #range:-1..1
NAME = '\u00e4'; WARM = (1e-3)  # range: 1e-4 .. 1e-2 log ; a share of the box
FREE = 3


def main():
    x = 5  # range: 1..9
'''


def values(genome: str) -> dict[str, object]:
    return {constant.name: constant.value for constant in constants(genome)}


def test_constants_are_read_with_their_spaces() -> None:
    found = {constant.name: constant for constant in constants(GENOME)}
    assert list(found) == ["MATRIX_LR", "DEPTH", "DECAY", "BATCH", "ACTIVATION", "TIED", "BIAS", "WARM"]
    assert found["MATRIX_LR"].space == Range(0.005, 0.08, log=True)
    assert (found["DEPTH"].kind, found["DECAY"].kind, found["BATCH"].kind) == (int, float, int)
    assert found["ACTIVATION"].space == ("relu2", "gelu", "silu")
    assert found["TIED"].space == (True, False)
    assert found["DEPTH"].line == 5
    for constant in found.values():
        start, end = constant.span
        assert ast.literal_eval(GENOME[start:end]) == constant.value


def test_substitute_changes_the_literals_alone() -> None:
    text = substitute(GENOME, {"MATRIX_LR": 0.03, "ACTIVATION": "gelu", "WARM": 0.002, "DEPTH": 6.0, "BIAS": 1})
    expected = GENOME.replace("0.02  #", "0.03  #").replace('"relu2"', '"gelu"').replace("(1e-3)", "(0.002)")
    assert text == expected.replace("= 4 ", "= 6 ").replace("-0.5", "1.0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DEPTH": 9}, "line 5: DEPTH = 9 is outside its range 2..8"),
        ({"DEPTH": 2.5}, "must be an integer"),
        ({"MATRIX_LR": float("nan")}, "outside its range"),
        ({"DEPTH": float("inf")}, "must be an integer"),
        ({"MATRIX_LR": "x"}, "must be a number"),
        ({"MATRIX_LR": True}, "must be a number"),
        ({"ACTIVATION": "tanh"}, "not among its choices: relu2 gelu silu"),
        ({"TIED": 1}, "not among its choices"),
        ({"DEPHT": 3}, "Did you mean 'DEPTH'"),
    ],
)
def test_substitute_refuses_what_a_constant_does_not_take(change, message) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        substitute(GENOME, change)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("X = 1  # range: 1-9", "line 2: '# range: 1-9' must read '# range: LOW..HIGH'"),
        ("X = 1  # range: 1..9 lin", "must read"),
        ("X = 1  # range: a..9", "'a' in '# range:' is not a number"),
        ("X = 1  # range: 1..inf", "'inf' in '# range:' is not a number"),
        ("X = 1  # range: 9..1", "LOW must be below HIGH"),
        ("X = 1  # range: 1..1", "LOW must be below HIGH"),
        ("X = 1  # range: 0..9 log", "must begin above zero"),
        ("X = 0  # range: 1..9", "X = 0 is outside its range 1..9"),
        ("X = True  # range: 0..9", "must be a number"),
        ("X = 'a'  # range: 0..9", "must be a number"),
        ("X = 2 * 3  # range: 1..9", "must be a literal"),
        ("X = 2j  # range: 1..9", "must be a literal"),
        ("X = [1]  # choices: 1 2", "must be a literal"),
        ("X = Y = 2  # range: 1..9", "must stand after `NAME = literal`"),
        ("X.y = 2  # range: 1..9", "must stand after `NAME = literal`"),
        ("X = 'a'  # choices: b c", "X = 'a' is not among its choices: b c"),
        ("X = 'a'  # choices: a", "two or more different values"),
        ("X = 'a'  # choices: a b a", "two or more different values"),
        ("X = 1  # range: 1..9\nX = 2  # range: 1..9", "line 3: X is annotated twice, first in line 2"),
    ],
)
def test_malformed_annotations_are_told_with_their_line(line, message) -> None:
    with pytest.raises(UserError) as caught:
        constants(f"import gpt\n{line}\n")
    assert message in str(caught.value)
    assert str(caught.value).startswith("line ")


def test_what_is_not_python_and_what_has_no_constants() -> None:
    with pytest.raises(Unparsable):
        constants("X = (\n")
    with pytest.raises(UserError, match="no constant"):
        mutate("X = 1\n", random.Random(0))


@st.composite
def genomes(draw: st.DrawFn) -> str:
    lines = ["import gpt\r\n" if draw(st.booleans()) else "import gpt\n"]
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["int", "log int", "float", "log", "choices", "numbers", "plain"]))
        if kind in ("int", "log int"):
            low = draw(st.integers(1 if "log" in kind else -9, 5000))
            high = low + draw(st.integers(1, 10_000))
            value: object = draw(st.integers(low, high))
            comment = f"range: {low}..{high}{' log' if 'log' in kind else ''}"
        elif kind in ("float", "log"):
            low_float = draw(st.floats(1e-9 if kind == "log" else -50, 50))
            high_float = low_float + draw(st.floats(1e-3, 1e6))
            value = draw(st.floats(low_float, high_float))
            comment = f"range: {low_float!r}..{high_float!r}{' log' if kind == 'log' else ''}"
        elif kind == "choices":
            value, comment = draw(st.sampled_from(["relu", "gelu"])), "choices: relu gelu silu"
        elif kind == "numbers":
            value, comment = draw(st.sampled_from([2, 4])), "choices: 2 4 8"
        else:
            value, comment = 1, "not for the catalogue"
        lines.append(f"C{number} = {value!r}  # {comment}; \u00e4 remark\n")
    return "".join([*lines, "LAST = 1  # range: 0..1\n", "print('\u00e4')\n"])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(genomes(), st.integers(0, 2**32))
def test_a_mutation_changes_one_to_three_values_inside_their_spaces(genome, seed) -> None:
    mutant, idea = mutate(genome, random.Random(seed))
    assert (mutant, idea) == mutate(genome, random.Random(seed))
    before, after = values(genome), values(mutant)  # reading checks the values against their spaces
    changed = [name for name in before if before[name] != after[name]]
    assert 1 <= len(changed) <= 3
    for name in before:
        assert type(after[name]) is type(before[name])
        assert (f"{name} to {after[name]} (was {before[name]})" in idea) == (name in changed)
    assert substitute(mutant, {name: before[name] for name in changed}) == substitute(
        genome, {name: before[name] for name in changed}
    )


def test_the_idea_is_a_sentence() -> None:
    genome = "A = 1  # choices: 1 2\nB = 'x'  # choices: x y\nC = 1  # range: 1..2\n"
    ideas = {mutate(genome, random.Random(seed))[1] for seed in range(60)}
    assert "Set B to y (was x)" in ideas
    assert "Set A to 2 (was 1) and C to 2 (was 1)" in ideas
    assert "Set A to 2 (was 1), B to y (was x) and C to 2 (was 1)" in ideas


def test_steps_are_mostly_small_and_sometimes_large_on_the_range_s_own_scale() -> None:
    genome = "LR = 0.01  # range: 0.0001..1.0 log\n"
    space = constants(genome)[0].space
    assert isinstance(space, Range)
    steps = []
    for seed in range(400):
        value = values(mutate(genome, random.Random(seed))[0])["LR"]
        assert isinstance(value, float)
        assert value == float(f"{value:.3g}")
        steps.append(abs(space.position(value) - 0.5))
    assert sum(step < 0.15 for step in steps) > 200
    assert sum(step > 0.35 for step in steps) > 10
