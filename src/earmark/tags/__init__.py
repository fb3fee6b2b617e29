"""Metadata: the tags inside files, through mutagen, and the user's own in a CSV or JSON file.

Names are lower case and the same for all formats (``title artist album albumartist genre year
date track disc bpm key composer comment ...``); several values of one name are joined by
``"; "``.  Numbers are numbers only where nothing is lost by it: ``007`` stays text.
"""

from earmark.tags.embedded import FileTags, read_tags
from earmark.tags.sidecar import Sidecar, read_sidecar
from earmark.tags.values import field_name

__all__ = ["FileTags", "Sidecar", "field_name", "read_sidecar", "read_tags"]
