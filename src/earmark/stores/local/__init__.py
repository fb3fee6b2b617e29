"""The local store: a folder with a SQLite catalog, shards of rows and derived FAISS indexes.

Layout of a library's folder::

    catalog.sqlite              tracks, tags, segments, encoders, shards, tombstones, failures;
                                the only commit point (WAL, synchronous=FULL)
    lock                        held (flock) and signed by the one writer
    vectors/<encoder>/*.rows    append-only shards of rows, *.refine of their second form
    indexes/*.faiss             derived from the shards; may be lost at any time

Rules: only the writer deletes or truncates files; bytes of a shard past the committed count do
not exist; an index is a file plus a row in the catalog with its checksum.  `writer` says how a
commit survives a crash, `care` what is checked and mended, `schema` which formats can be read.
Local file systems only: neither flock nor SQLite's WAL works over NFS or SMB.
"""

from __future__ import annotations

from earmark.stores.local.store import LocalStore, open_local

__all__ = ["LocalStore", "open_local"]
