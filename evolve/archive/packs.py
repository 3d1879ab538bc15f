"""Writing a git pack and its index without starting git, and telling a whole one from a damaged one."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from evolve.archive import files
from evolve.archive.objects import Object

PREFIX = "pack-evolve-"  # ours, of one checkpoint each; packing replaces them by git's own, which store differences
_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_INDEX_HEADER = b"\377tOc" + struct.pack(">I", 2)
_FANOUT = 256 * 4
_SHA = 20  # bytes


def write_pack(git_dir: Path, objects: Mapping[str, Object]) -> Path:
    """Put the objects (by id) into a pack of their own, on the device when this returns.

    The formats are in git's documentation: gitformat-pack. Raises ArchiveWriteError; nothing of it is there then.
    """
    parts = [b"PACK" + struct.pack(">II", 2, len(objects))]
    position = len(parts[0])
    rows = []  # (id, checksum, position)
    for id, one in objects.items():
        # The fastest level: packing compresses again, and better.
        entry = _entry_header(_TYPES[one.kind], len(one.data)) + zlib.compress(one.data, 1)
        rows.append((bytes.fromhex(id), zlib.crc32(entry), position))
        parts.append(entry)
        position += len(entry)
    pack = b"".join(parts)
    digest = hashlib.sha1(pack, usedforsecurity=False)
    folder = git_dir / "objects" / "pack"
    target = folder / f"{PREFIX}{digest.hexdigest()}.pack"
    data = {".pack": pack + digest.digest(), ".idx": _index(rows, digest.digest())}
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise files.write_error(error, folder) from error
    # Not with the ending .idx: git, packing at this moment, would take them for a pack, and remove them afterwards.
    temporary = {suffix: folder / f"tmp_evolve_{suffix[1:]}" for suffix in data}
    for suffix, path in temporary.items():
        path.unlink(missing_ok=True)
        files.create(path, data[suffix], mode=0o444)
    # Git knows a pack by its index, which is therefore last.
    for suffix, path in temporary.items():
        files.rename(path, target.with_suffix(suffix))
    files.sync_folder(folder)
    return target


def checkpoint_packs(git_dir: Path) -> list[Path]:
    """The packs of checkpoints that no packing has replaced yet, oldest first."""
    found = [(path.stat().st_mtime_ns, path) for path in (git_dir / "objects" / "pack").glob(f"{PREFIX}*.pack")]
    return [path for _, path in sorted(found)]


def is_whole(pack: Path) -> bool:
    """Whether a pack and its index are what was written."""
    try:
        content, index = pack.read_bytes(), pack.with_suffix(".idx").read_bytes()
    except FileNotFoundError:
        return False
    checksum = content[-_SHA:]
    return (
        _sums_up(content)
        and _sums_up(index)
        and index[-2 * _SHA : -_SHA] == checksum
        and pack.name == f"{PREFIX}{checksum.hex()}.pack"
    )


def object_ids(pack: Path) -> Iterator[str]:
    """The ids of a pack's objects, by its index."""
    index = pack.with_suffix(".idx").read_bytes()
    first = len(_INDEX_HEADER) + _FANOUT
    (count,) = struct.unpack(">I", index[first - 4 : first])
    for position in range(first, first + count * _SHA, _SHA):
        yield index[position : position + _SHA].hex()


def remove(pack: Path) -> None:
    # The index first: without it, git does not look for the pack.
    pack.with_suffix(".idx").unlink(missing_ok=True)
    pack.unlink(missing_ok=True)


def _sums_up(content: bytes) -> bool:
    return len(content) > _SHA and hashlib.sha1(content[:-_SHA], usedforsecurity=False).digest() == content[-_SHA:]


def _entry_header(kind: int, size: int) -> bytes:
    """Type and size of an object: four bits of the size with the type, then seven a byte."""
    first = kind << 4 | size & 15
    size >>= 4
    header = bytearray()
    while size:
        header.append(first | 128)
        first = size & 127
        size >>= 7
    header.append(first)
    return bytes(header)


def _index(rows: list[tuple[bytes, int, int]], pack_checksum: bytes) -> bytes:
    rows.sort()
    counts = [0] * 256
    for id, _, _ in rows:
        counts[id[0]] += 1
    total, fanout = 0, []
    for count in counts:
        total += count
        fanout.append(total)
    body = b"".join(
        [
            _INDEX_HEADER,
            struct.pack(">256I", *fanout),
            *(id for id, _, _ in rows),
            struct.pack(f">{total}I", *(checksum for _, checksum, _ in rows)),
            struct.pack(f">{total}I", *(position for _, _, position in rows)),
            pack_checksum,
        ]
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
