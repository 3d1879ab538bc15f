"""`python -m analysis lineage RUN FILE`: draws a figure of a run."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Draw a figure of a run.")
    commands = parser.add_subparsers(dest="command", required=True)
    lineage = commands.add_parser("lineage", help="the family tree, the best individual's lineage drawn strong")
    lineage.add_argument("RUN", help="a run's folder, or its name below runs/")
    lineage.add_argument("FILE", help="where to draw it: .png, .svg or .pdf")
    options = parser.parse_args()

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    from analysis import figures, load
    from evolve.errors import UserError

    try:
        frames = load(options.RUN)
        figure = Figure(figsize=(11, 5.5), layout="constrained")
        figures.lineage(frames, figure.subplots())
        figure.savefig(options.FILE, dpi=130)
    except (UserError, ValueError, OSError) as error:
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    print(f"{len(frames.individuals)} individuals drawn in {options.FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
