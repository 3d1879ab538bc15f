"""The filter, run as the kernel runs it: a BPF program over a call's number, architecture and arguments."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.sandbox import seccomp
from evolve.sandbox.seccomp import AARCH64, DENIED, MUTED, X86_64, make_filter

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
MACHINES = {"x86_64": (0, X86_64), "aarch64": (1, AARCH64)}
BOTH = pytest.mark.parametrize("machine", MACHINES)


def decide(machine: str, number: int, *arguments: int, mute: bool = False, architecture: int | None = None) -> int:
    """What the program answers to a call."""
    program = make_filter(mute=mute, machine=machine).program
    lines = list(struct.iter_unpack("<HBBI", program))
    words = [number, architecture or MACHINES[machine][1], 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32]
    at, value = 0, 0
    while True:
        code, then, otherwise, k = lines[at]
        at += 1
        if code == 0x20:
            value = words[k // 4]
        elif code == 0x06:
            return int(k)
        else:
            test = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[code]
            at += then if test else otherwise


@BOTH
def test_what_is_named_is_refused_and_nothing_else_is(machine: str) -> None:
    column = MACHINES[machine][0]
    denied = {numbers[column] for numbers in DENIED.values()}
    special = {numbers[column] for numbers in (seccomp.CLONE3,)}
    for number in range(600):
        if number in denied:
            assert decide(machine, number) == ERRNO | errno.EPERM
        elif number not in special:
            assert decide(machine, number) == ALLOW, number
    assert decide(machine, seccomp.CLONE3[column]) == ERRNO | errno.ENOSYS


@BOTH
def test_changes_of_marks_do_nothing_where_asked(machine: str) -> None:
    column = MACHINES[machine][0]
    for numbers in MUTED.values():
        if numbers[column] >= 0:
            assert decide(machine, numbers[column], mute=True) == ERRNO
            assert decide(machine, numbers[column]) == ALLOW
    for flags in seccomp.SET_FLAGS:
        assert decide(machine, seccomp.IOCTL[column], 5, flags, mute=True) == ERRNO | errno.EPERM
    assert decide(machine, seccomp.IOCTL[column], 5, 0x5401, mute=True) == ALLOW


@BOTH
def test_arguments_decide_where_the_number_does_not(machine: str) -> None:
    column = MACHINES[machine][0]
    threads = 0x3D0F00  # how glibc makes one
    assert decide(machine, seccomp.CLONE[column], threads) == ALLOW
    assert decide(machine, seccomp.CLONE[column], 0x10000000 | 17) == ERRNO | errno.EPERM
    assert decide(machine, seccomp.PRCTL[column], 4, 0) == ERRNO | errno.EPERM
    assert decide(machine, seccomp.PRCTL[column], 15, 0) == ALLOW
    assert decide(machine, seccomp.PRLIMIT[column], 0) == ALLOW
    assert decide(machine, seccomp.PRLIMIT[column], 4242) == ERRNO | errno.EPERM


@given(number=st.integers(0, 2**32 - 1), architecture=st.integers(0, 2**32 - 1))
def test_another_calling_convention_is_no_way_around(number: int, architecture: int) -> None:
    if architecture not in (0, X86_64):
        assert decide("x86_64", number, architecture=architecture) == KILL
    if number >= 0x40000000:
        assert decide("x86_64", number) == ERRNO | errno.EPERM


def test_a_machine_that_is_not_known_is_said() -> None:
    with pytest.raises(OSError, match="no seccomp filter for riscv64"):
        make_filter(mute=False, machine="riscv64")
