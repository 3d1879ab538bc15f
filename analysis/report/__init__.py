"""A run as one self-contained HTML page: `write` puts it into a file, `serve` shows it while the search runs."""

from analysis.report.page import write
from analysis.report.server import serve

__all__ = ["serve", "write"]
