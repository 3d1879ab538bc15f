"""Shards of public data sets from the Hugging Face hub: fetched once, resumed, checked, and whole or absent."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpt.errors import UserError

SHA256 = re.compile(r"[0-9a-f]{64}")
READ_SIZE = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """Shuffled text in numbered parquet shards, of which the last one is for validation alone."""

    name: str
    repository: str
    shard: str  # the files' name, with {} for the number
    last: int

    def training_shards(self, count: int) -> list[str]:
        """The first `count` files. Raises UserError where there are not as many."""
        if not 1 <= count <= self.last:
            raise UserError(f"--shards {count} must be from 1 to {self.last:,}, which {self.name} has for training.")
        return [self.shard.format(number) for number in range(count)]

    @property
    def validation_shard(self) -> str:
        return self.shard.format(self.last)


DATASETS = {
    one.name: one
    for one in (
        Dataset("climbmix", "karpathy/climbmix-400b-shuffle", "shard_{:05}.parquet", 6542),
        Dataset("fineweb-edu", "karpathy/fineweb-edu-100b-shuffle", "shard_{:05}.parquet", 1822),
    )
}


def fetch(dataset: Dataset, names: list[str], folder: Path) -> list[Path]:
    """The files of these names below `folder`, downloaded where they are not there yet.

    What an earlier attempt left of a file is gone on with. A file has its name only when it is whole: its size
    and, where the hub tells it, its SHA-256 are checked first. The server is that of HF_ENDPOINT, a token that of
    HF_TOKEN. Raises UserError where the hub cannot be reached or a file does not come out right; OSError for the disk.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(missing, start=1):
        with _lock(folder / f"{name}.lock"):
            if not (folder / name).is_file():  # another process may have fetched it while this one waited
                print(f"{dataset.name}: {name} ({number} of {len(missing)})", file=sys.stderr, flush=True)
                _download(dataset, name, folder)
    return [folder / name for name in names]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(dataset: Dataset, name: str, folder: Path) -> None:
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    url = hf_hub_url(dataset.repository, name, repo_type="dataset", endpoint=endpoint)
    try:
        known = get_hf_file_metadata(url, endpoint=endpoint)
        # The tag is of the content: what is left of another version of the file is not gone on with.
        tag = re.sub(r"[^0-9A-Za-z]", "", known.etag or "")[:64]
        partial = folder / f"{name}.{tag}.partial"
        with partial.open("ab") as file:
            done = file.tell()
            # The token, where there is one, is for the hub and not for where it sends us.
            headers = build_hf_headers() if known.location == url else {}
            if known.size is None or done < known.size:
                http_get(
                    known.location,
                    file,
                    resume_size=done,
                    headers=headers,
                    expected_size=known.size,
                    displayed_filename=name,
                )
    except (httpx2.HTTPError, ConnectionError, OfflineModeIsEnabled, HfHubHTTPError, FileMetadataError) as error:
        raise UserError(_unreachable(dataset, name, folder, endpoint, error)) from error
    if known.size is not None and partial.stat().st_size != known.size:
        size = partial.stat().st_size
        partial.unlink()
        raise UserError(f"{url} gave {size:,} bytes where it has {known.size:,}. Run the same command again.")
    if SHA256.fullmatch(known.etag or "") and _sha256(partial) != known.etag:
        partial.unlink()
        raise UserError(f"{url} arrived damaged (its SHA-256 is not the hub's) and was removed. Run it again.")
    partial.rename(folder / name)


def _unreachable(dataset: Dataset, name: str, folder: Path, endpoint: str, error: Exception) -> str:
    first = str(error).strip().splitlines()[:1]
    return (
        f"{name} of {dataset.repository} could not be fetched from {endpoint} ({type(error).__name__}"
        f"{': ' + first[0] if first else ''}). With a network, the same command goes on where it stopped. Without one: "
        f"copy the shards from another machine into '{folder}', or use --corpus site-packages (the Python sources "
        "installed here) or --corpus PATH (a folder of your own text or parquet files)."
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_SIZE):
            digest.update(block)
    return digest.hexdigest()
