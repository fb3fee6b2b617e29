"""The map as a picture (SVG, PNG) and as a table (parquet).

Colours of groups are steps of the golden angle around the circle of hues, so that neighbours in
number differ; tracks of no group are grey.  Names are drawn at the middles of the largest groups, a
little above or below where another name is, or not at all.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping
from html import escape

import numpy as np

from earmark.errors import NotAvailable
from earmark.library.maps.charting import Map
from earmark.types import Track

SIZE = 1000
MOST_NAMES = 40
_LINE, _LETTER = 0.042, 0.0185
"""Height of a line and width of a letter of a name, as parts of the map."""

_GOLDEN = 0.618033988749895
_GREY = "#8a8f98"


def colour(group: int) -> str:
    """Return the colour of a group as ``#rrggbb``.

    Examples
    --------
    >>> colour(-1)
    '#8a8f98'
    """
    if group < 0:
        return _GREY
    hue = (0.58 + group * _GOLDEN) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.45 + 0.1 * (group % 3), 0.62)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def title(track: Track) -> str:
    """Return what to call a track on the map: artist and title, or the name of its file."""
    name = " - ".join(part for part in (track.artist, track.title) if part)
    name = name or track.path.rpartition("/")[2] or track.path
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def names_of(made: Map) -> list[tuple[float, float, str]]:
    """Return the names that can be read side by side, with the places of their middles.

    The largest groups come first; a name that meets no free place is left out.
    """
    drawn: list[tuple[float, float, str]] = []
    for cluster in sorted(made.clusters, key=lambda c: -c.size)[:MOST_NAMES]:
        for step in (0, 1, -1, 2, -2):
            y = cluster.y + step * _LINE
            if all(_apart(cluster.x, y, cluster.name, *other) for other in drawn):
                drawn.append((cluster.x, y, cluster.name))
                break
    return drawn


def _apart(x: float, y: float, name: str, x_of: float, y_of: float, other: str) -> bool:
    width = _LETTER * (len(name) + len(other)) / 2
    return abs(x - x_of) >= width or abs(y - y_of) >= 0.99 * _LINE


def svg(made: Map, tracks: Mapping[int, Track]) -> str:
    """Return the map as an SVG image; each point has its track's name as a tooltip."""
    half = SIZE / 2
    radius = float(np.clip(160 / np.sqrt(max(len(made), 1)), 0.8, 7))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" '
        f'role="img" aria-label="Map of {len(made)} sounds">',
        f'<rect width="{SIZE}" height="{SIZE}" fill="#ffffff"/>',
    ]
    for track, (x, y), group in zip(
        made.tracks.tolist(), made.places.tolist(), made.groups.tolist(), strict=True
    ):
        name = escape(title(tracks[track])) if track in tracks else str(track)
        parts.append(
            f'<circle cx="{half + 0.94 * half * x:.1f}" cy="{half - 0.94 * half * y:.1f}" '
            f'r="{radius:.1f}" fill="{colour(group)}" fill-opacity="0.75">'
            f"<title>{name}</title></circle>"
        )
    for x, y, name in names_of(made):
        parts.append(
            f'<text x="{half + 0.94 * half * x:.1f}" '
            f'y="{half - 0.94 * half * y:.1f}" text-anchor="middle" '
            'font-family="sans-serif" font-size="15" font-weight="600" fill="#16181d" '
            f'stroke="#ffffff" stroke-width="4" paint-order="stroke">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def png(made: Map) -> bytes:
    """Return the map as a PNG image of 1600 by 1600 points.

    Raises
    ------
    NotAvailable
        If matplotlib is not installed.
    """
    try:
        from matplotlib import patheffects
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise NotAvailable(
            "a PNG of the map needs the package matplotlib",
            hint="pip install 'earmark[map]', or --svg FILE, which needs nothing",
        ) from None
    figure = Figure(figsize=(16, 16), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-1.06, 1.06)
    axes.set_ylim(-1.06, 1.06)
    size = float(np.clip(60_000 / max(len(made), 1), 2, 90))
    colours = [colour(group) for group in made.groups.tolist()]
    axes.scatter(made.places[:, 0], made.places[:, 1], s=size, c=colours, alpha=0.75, linewidths=0)
    for x, y, name in names_of(made):
        axes.text(
            x,
            y,
            name,
            ha="center",
            fontsize=15,
            fontweight="bold",
            color="#16181d",
            parse_math=False,
            path_effects=[patheffects.withStroke(linewidth=4, foreground="#ffffff")],
        )
    sink = io.BytesIO()
    figure.savefig(sink, format="png", facecolor="#ffffff")
    return sink.getvalue()


def parquet(made: Map, tracks: Mapping[int, Track]) -> bytes:
    """Return the map as a table: track, path, x, y, cluster, cluster_name.

    Raises
    ------
    NotAvailable
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise NotAvailable(
            "parquet needs the package pyarrow", hint="pip install 'earmark[parquet]'"
        ) from None
    names = {cluster.id: cluster.name for cluster in made.clusters}
    paths = [
        tracks[t].path.encode("utf-8", "backslashreplace").decode("utf-8") if t in tracks else ""
        for t in made.tracks.tolist()
    ]
    table = pa.table(
        {
            "track": pa.array(made.tracks),
            "path": pa.array(paths, pa.string()),
            "x": pa.array(made.places[:, 0]),
            "y": pa.array(made.places[:, 1]),
            "cluster": pa.array(made.groups),
            "cluster_name": pa.array([names.get(g) for g in made.groups.tolist()], pa.string()),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
