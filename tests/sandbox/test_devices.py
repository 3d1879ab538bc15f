"""A GPU's device files, chosen from what a driver says; the driver is a folder here. Nothing is run on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.sandbox import bubblewrap
from evolve.sandbox.devices import gpu_devices
from evolve.sandbox.view import View


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """/dev and /proc/driver/nvidia of a machine with two GPUs, whose numbers go against their order on the bus."""
    dev, driver = tmp_path / "dev", tmp_path / "driver"
    dev.mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "null"):
        (dev / name).touch()
    for bus, uuid, minor in (("0000:01", "GPU-aaaa-1", 1), ("0000:02", "GPU-bbbb-2", 0)):
        (driver / "gpus" / bus).mkdir(parents=True)
        text = f"Model: \t\t NVIDIA\nIRQ:   \t\t 11\nGPU UUID: \t {uuid}\nBus Type: \t PCIe\nDevice Minor: \t {minor}\n"
        (driver / "gpus" / bus / "information").write_text(text)
    return dev, driver


def names(gpu: str | None, machine: tuple[Path, Path]) -> set[str]:
    return {Path(path).name for path in gpu_devices(gpu, *machine)}


SHARED = {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"}


def test_a_trial_gets_its_own_gpu_only(machine: tuple[Path, Path]) -> None:
    assert names("GPU-aaaa-1", machine) == SHARED | {"nvidia1"}
    assert names("GPU-bbbb", machine) == SHARED | {"nvidia0"}  # CUDA takes the beginning of a UUID, too


@pytest.mark.parametrize("gpu", [None, "GPU-", "GPU-cccc", "MIG-aaaa", "0"])
def test_where_the_driver_does_not_tell_all_are_given(gpu: str | None, machine: tuple[Path, Path]) -> None:
    assert names(gpu, machine) == SHARED | {"nvidia0", "nvidia1"}


def test_a_machine_without_a_gpu_has_none(tmp_path: Path) -> None:
    assert gpu_devices("GPU-aaaa-1", tmp_path, tmp_path) == []


def test_bubblewrap_is_given_them_after_its_own_devices(machine: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "scratch" / "tmp").mkdir(parents=True)
    view = View.make(str(tmp_path / "scratch"), ["/usr"], devices=gpu_devices("GPU-aaaa-1", *machine))
    words = bubblewrap.arguments(view, None)
    card = str(machine[0] / "nvidia1")
    at = words.index(card)
    assert words[at - 1 : at + 2] == ["--dev-bind", card, card]
    assert words.index("/dev") < at
    assert not any("nvidia0" in word for word in words)
