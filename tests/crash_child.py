"""Index a folder, and write down what each commit acknowledged: a process for tests to kill.

Usage: ``python crash_child.py LIBRARY FOLDER ACKNOWLEDGED``.  A line of the last file is a path,
a tab and a content hash; it is written only after `commit` returned.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path

from earmark import ingest
from earmark.executors import ProcessExecutor
from earmark.ingest import committing
from earmark.stores import open_store

committing.COMMIT_FILES = 3


class Witness:
    """A store whose commits are written down."""

    def __init__(self, store, acknowledged: Path) -> None:
        self._store = store
        self._file = acknowledged

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def writer(self):
        with self._store.writer() as writer:
            pending: list[str] = []
            put, move, commit = writer.put_track, writer.move_track, writer.commit

            def put_track(record, encoded):
                pending.append(f"{record.path}\t{record.content_hash}\n")
                return put(record, encoded)

            def move_track(track, record):
                pending.append(f"{record.path}\t{record.content_hash}\n")
                return move(track, record)

            def acknowledge():
                commit()
                with self._file.open("a") as file:
                    file.writelines(pending)
                pending.clear()

            writer.put_track, writer.move_track = put_track, move_track
            writer.commit = acknowledge
            yield writer


def main(library: str, folder: str, acknowledged: str) -> None:
    """Index until done."""
    with ProcessExecutor(workers=2) as executor:
        store = Witness(open_store(library, create=True), Path(acknowledged))
        plan = ingest.plan(store, [folder], encoders=["timbre"], prune=True)
        ingest.run(store, plan, executor)


if __name__ == "__main__":
    main(*sys.argv[1:])
