"""The reference in docs/api.md is what the server says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.server.docs import markdown

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "api.md"


def test_the_reference_is_what_the_server_says(client):
    if not PAGE.is_file():
        pytest.skip("no docs here")
    made = markdown(client.get("/openapi.json").json())
    assert PAGE.read_text(encoding="utf-8") == made, f"write it anew: {COMMAND}"


COMMAND = (
    'python -c "import tempfile, earmark; from earmark.server.app import create_app; '
    "from earmark.server.docs import markdown; "
    "print(markdown(create_app(earmark.open(tempfile.mkdtemp() + '/l')).openapi()), end='')\""
    " > docs/api.md"
)
