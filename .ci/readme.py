"""Print the shell block of the README that follows the comment ``<!-- ci: NAME -->``.

The commands that a reader copies are thus the commands that CI runs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def block(name: str, text: str) -> str:
    """Return the fenced block after the marker, or raise SystemExit."""
    pattern = rf"<!-- ci: {re.escape(name)} -->\s*```(?:bash|sh)\n(.*?)```"
    match = re.search(pattern, text, re.DOTALL)
    if match is None:
        raise SystemExit(f"README.md has no shell block after <!-- ci: {name} -->")
    return match.group(1)


if __name__ == "__main__":
    sys.stdout.write(block(sys.argv[1], README.read_text(encoding="utf-8")))
