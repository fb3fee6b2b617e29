"""The map of a library: every track a point, like sounds near each other.

`layout` finds places, `clusters` groups and names them, `charting` keeps the map in the library,
`drawing` and `page` write it out.
"""

from __future__ import annotations

from earmark.library.maps.charting import Map as Map
from earmark.library.maps.charting import chart as chart

__all__ = ["Map", "chart"]
