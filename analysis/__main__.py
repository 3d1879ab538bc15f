"""`python -m analysis`: a run's report, and its figures as files."""

from __future__ import annotations

import argparse
import inspect
import sys

from evolve.arguments import RUN
from evolve.errors import UserError

DESCRIPTION = """\
Look at a run: a report to read in a browser, or one of its figures as a file.

  python -m analysis report RUN              RUN/report.html: one file, no network needed
  python -m analysis lineage RUN FILE        the family tree as .png, .svg or .pdf; the other figures likewise
  python -m evolve watch RUN                 the report in a browser while the search runs
"""


def parser() -> argparse.ArgumentParser:
    from analysis.figures import FIGURES

    top = argparse.ArgumentParser(
        prog="python -m analysis", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about.replace("%", "%%"), description=about)
        one.add_argument("RUN", help=RUN)
        return one

    report = command("report", "One self-contained HTML file: summary, lineage graph, figures, the champion's patch.")
    report.add_argument(
        "FILE", nargs="?", help="where to write it (RUN/report.html; NAME-report.html beside a mirror clone)"
    )
    watch = command("watch", "The report on loopback, kept up to date while the search runs.")
    watch.add_argument("--port", type=int, default=8321, metavar="N", help="port on 127.0.0.1; 0: any free one (8321)")
    for name, draw in FIGURES.items():
        about = (inspect.getdoc(draw) or "").partition("\n\n")[0]
        command(name, " ".join(about.split())).add_argument("FILE", help="where to draw it: .png, .svg or .pdf")
    return top


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if options.command == "report":
            from analysis.report import write

            print(write(options.RUN, options.FILE))
        elif options.command == "watch":
            from analysis.report import serve

            serve(options.RUN, options.port)
        else:
            print(_draw(options.command, options.RUN, options.FILE))
    except UserError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    return 0


def _draw(name: str, run: str, file: str) -> str:
    """Draw a figure into a file; returns what was drawn, in words. Raises UserError."""
    from analysis import load, style
    from analysis.figures import FIGURES

    frames = load(run)
    axes = FIGURES[name](frames)
    try:
        style.save(axes, file)
    except (ValueError, OSError) as error:
        raise UserError(f"'{file}' could not be drawn: {error}.") from error
    return f"{len(frames.individuals)} individuals drawn in {file}"


if __name__ == "__main__":
    sys.exit(main())
