"""Where audio comes from: files, folders, zip archives, URLs, and archives behind URLs.

A source has one canonical name, which is its identity in a library: the absolute path of a file
(symbolic links are kept, bytes that are no UTF-8 survive as surrogates), the URL itself for a
URL, and ``/a/pack.zip!/kick/01.wav`` for a member of an archive.
"""

from earmark.sources.expanding import OnFailure, expand
from earmark.sources.locations import (
    Source,
    canonical,
    content_hash,
    display_name,
    open_source,
    read_bytes,
    split_member,
    stat,
)
from earmark.sources.remote import is_url

__all__ = [
    "OnFailure",
    "Source",
    "canonical",
    "content_hash",
    "display_name",
    "expand",
    "is_url",
    "open_source",
    "read_bytes",
    "split_member",
    "stat",
]
