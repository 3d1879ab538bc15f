"""The search as an ordinary bare git repository: a commit an individual, a note line an evaluation."""

from evolve.archive.files import ArchiveWriteError
from evolve.archive.repository import Archive

__all__ = ["Archive", "ArchiveWriteError"]
