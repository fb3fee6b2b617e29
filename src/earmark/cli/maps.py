"""``earmark map``."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.cli import common


@click.command("map")
@click.option("--html", metavar="FILE", help="One page that plays what one clicks.")
@click.option("--png", metavar="FILE", help="A picture of points.")
@click.option("--svg", metavar="FILE", help="A picture of lines and text.")
@click.option("--parquet", metavar="FILE", help="A table of places.")
@click.option("--previews", is_flag=True, help="Put short sounds into the page, not links.")
@click.option("--fresh", is_flag=True, help="Make a new layout: all tracks may move.")
@click.option("--by", multiple=True, metavar="KIND_OR_ENCODER", help="What says what is near.")
@common.json_option
@common.library_option
def map_(
    library: str | None,
    as_json: bool,
    html: str | None,
    png: str | None,
    svg: str | None,
    parquet: str | None,
    previews: bool,
    fresh: bool,
    by: tuple[str, ...],
) -> None:
    """Lay the library out on a map, like sounds near each other.

    The map is kept in the library; tracks that are added later find their place without moving
    the others.  Needs: pip install 'earmark[map]'.
    """
    from earmark.library.maps import drawing, page

    with common.open_library(library) as lib:
        made = lib.map(fresh=fresh, by=common.split_names(by))
        asked = any((html, png, svg, parquet))
        tracks = {t.id: t for t in lib.store.tracks(made.tracks.tolist())} if asked else {}
        if svg:
            _write(svg, drawing.svg(made, tracks).encode())
        if png:
            _write(png, drawing.png(made))
        if parquet:
            _write(parquet, drawing.parquet(made, tracks))
        if html:
            _write(html, page.html(made, tracks, previews=previews).encode())
    if as_json:
        common.print_json(made.to_json())
        return
    for cluster in made.clusters:
        print(f"{cluster.size:>7}  {cluster.name}")
    loose = int((made.groups < 0).sum())
    if loose:
        print(f"{loose:>7}  in no group")
    common.say(f"{len(made)} tracks on the map, {made.added} placed now")
    if made.outgrown:
        common.say(
            "note: most tracks came after the layout was made; earmark map --fresh redoes it"
        )


def _write(path: str, content: bytes) -> None:
    """Write a file, whole or not at all."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.write_bytes(content)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    common.say(f"wrote {path}")
