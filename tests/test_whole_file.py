"""Files are written complete or not at all, and what hinders it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.errors import TrainingError
from earmark.training.whole_file import write_whole


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for content in (b"first", b"", b"second"):
        write_whole(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_leaves_the_former_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "a", b"former")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match="a cannot be written: No space") as caught:
        write_whole(tmp_path / "a", b"new content")
    assert "free some space" in str(caught.value.hint)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"former"
