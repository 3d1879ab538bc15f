"""Puts the page together: summary, graph, figures and the champion's patch in one file without outside references."""

from __future__ import annotations

import base64
import hashlib
import html
import inspect
import json
import math
import re
import time
from pathlib import Path
from typing import Any

from matplotlib.colors import to_hex

from analysis import frames as reading
from analysis.figures import FIGURES
from analysis.figures.lineage import score_range
from analysis.frames import Frames
from analysis.layout import layered
from analysis.report import details
from analysis.report.summary import Tile, sentences, tiles
from analysis.report.svg import inline
from analysis.style import SCORES
from evolve.archive.repository import Archive
from evolve.errors import UserError
from evolve.rundir import RunDirectory

STATIC = Path(__file__).parent / "static"
GRAPH_LIBRARY = Path(__file__).parents[1] / "vendor" / "cytoscape.min.js"
SCRIPTS = ("data.js", "curve.js", "details.js", "list.js", "graph.js", "main.js")
CONFIRMED = ("confirmed", "confirmed_low", "confirmed_high")
NOT_A_FIGURE = ("lineage",)  # the page has it as a graph


def write(run: str, file: str | None = None) -> str:
    """Write the report of a run; returns what was written, in words. Raises UserError."""
    directory = RunDirectory.find(run)
    path = Path(file) if file else _beside(directory)
    with Archive.open(directory.archive) as archive:
        text = build(archive, directory)
        count, derived = len(archive.individuals), len(archive.derived)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"'{path}' could not be written: {error.strerror or error}.") from error
    more = f" and {derived} derived ones" if derived else ""
    return f"{count} individuals{more} in {path} ({len(text.encode()) / 1e6:.1f} MB)"


def _beside(directory: RunDirectory) -> Path:
    """Where the report of a run goes: into its folder, a clone's work tree, or beside a clone without one."""
    repository = directory.archive
    own = directory.path == repository.parent or repository.name == ".git"
    return repository.parent / ("report.html" if own else f"{directory.name}-report.html")


def build(archive: Archive, directory: RunDirectory, *, revision: str = "") -> str:
    """The page of an open archive. One with a revision asks the server that it came from for a later one."""
    frames = reading.read(archive, directory.name)
    champion = archive.champion()
    patch = details.patch(archive, champion) if champion and champion.parents else ""
    library = GRAPH_LIBRARY.read_text(encoding="utf-8")
    scripts = "\n".join((STATIC / script).read_text(encoding="utf-8") for script in SCRIPTS)
    code = f'"use strict";\n(() => {{\n{scripts}}})();\n'
    return _fill(
        (STATIC / "template.html").read_text(encoding="utf-8"),
        policy=content_policy((library, code), live=bool(revision)),
        name=html.escape(frames.name),
        standing=html.escape(_standing(frames, bool(revision))),
        style=(STATIC / "page.css").read_text(encoding="utf-8"),
        tiles="".join(_tile(tile) for tile in tiles(archive, frames)),
        sentences="".join(f"<p>{html.escape(line)}</p>" for line in sentences(archive, directory)),
        figures=_figures(frames),
        patch=_patch(patch),
        index=embedded(index(frames, revision)),
        details=details.packed(archive),
        library=library,
        code=code,
    )


def content_policy(scripts: tuple[str, ...], *, live: bool) -> str:
    """What the page may do: run these scripts, show what it holds, and, where it is live, ask its own server."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    rules = [
        "default-src 'none'",
        "script-src " + " ".join(f"'sha256-{digest}'" for digest in hashes),
        "style-src 'unsafe-inline'",
        "img-src data:",
        "connect-src 'self'" if live else "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(rules)


def index(frames: Frames, revision: str) -> dict[str, Any]:
    """What graph and list show of every individual: columns, each with a value an individual.

    `score` is the search's, `fresh` that of a derived one, on another split: they do not compare.
    """
    table, place = frames.everyone, layered(frames)
    colours, ends = score_colours(frames)
    search = frames.individuals.reindex(table.index)
    columns: dict[str, list[Any]] = {
        "id": table.index.tolist(),
        **{name: [round(at, 2) for at in place[name]] for name in ("x", "y")},
        **{name: table[name].tolist() for name in ("name", "operator", "idea", "generation", "status", "commit")},
        **{name: table[name].tolist() for name in ("runs", "champion", "derived")},
        **{name: _numbers(table[name].tolist()) for name in ("stderr", "gain", "seconds")},
        **{name: _numbers(search[name].tolist()) for name in ("score", "elite", *CONFIRMED)},
        "model": [*frames.individuals["model"], *[None] * len(frames.derived)],
        "branch": [*[None] * len(frames.individuals), *frames.derived["branch"]],
        "fresh": _numbers(frames.derived["score"].reindex(table.index).tolist()),
        "colour": [*colours, *[None] * len(frames.derived)],
    }
    return {
        "revision": revision,
        "metric": frames.metric,
        "minimise": frames.minimise,
        "champion": frames.champion,
        "colours": [to_hex(SCORES(step / 4)) for step in range(5)],
        "range": ends,
        "individuals": columns,
        "edges": frames.edges.to_numpy().tolist(),
    }


def score_colours(frames: Frames) -> tuple[list[str | None], list[float] | None]:
    """A colour for each individual of the search (None: no score), and the scores at both ends, the worse first."""
    scores = frames.individuals["score"]
    if not scores.notna().any():
        return [None] * len(scores), None
    norm = score_range(frames)
    known = scores.notna()
    colours = [
        to_hex(SCORES(norm(value))) if there else None for value, there in zip(frames.sign * scores, known, strict=True)
    ]
    return colours, [frames.sign * float(end) for end in (norm.vmin or 0.0, norm.vmax or 0.0)]


def embedded(value: object) -> str:
    """JSON that may stand in a script element: no text in it can end that or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _numbers(values: list[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values]


def _standing(frames: Frames, live: bool) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    better = "lower" if frames.minimise else "higher"
    text = f"arena {frames.arena}, time box {frames.time_box:g} s, {frames.metric} ({better} is better)"
    return f"{text}; {'as of' if live else 'made'} {when}"


def _tile(tile: Tile) -> str:
    label, value, remark = (html.escape(text) for text in tile)
    return f'<div class="tile"><dt>{label}</dt><dd>{value}</dd><dd class="remark">{remark}</dd></div>'


def _figures(frames: Frames) -> str:
    parts = []
    for name, draw in FIGURES.items():
        if name in NOT_A_FIGURE:
            continue
        caption = html.escape(" ".join((inspect.getdoc(draw) or "").split()))
        caption = re.sub("`([^`]*)`", r"<code>\1</code>", caption)
        drawn = inline(draw(frames), name, html.escape(name.replace("_", " "), quote=True))
        parts.append(f'<figure id="figure-{name}">{drawn}<figcaption>{caption}</figcaption></figure>')
    return "\n".join(parts)


def _patch(text: str) -> str:
    lines = []
    for line in text.splitlines():
        kind = {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "")
        lines.append(f'<span class="{kind}">{html.escape(line)}</span>' if kind else html.escape(line))
    return "\n".join(lines) or "The champion is the seed genome, or there is none yet."


def _fill(template: str, **parts: str) -> str:
    """The template with each `{{name}}` replaced, in one pass: a part that looks like a slot stays as it is."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)
