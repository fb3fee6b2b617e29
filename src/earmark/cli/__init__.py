"""The command line: ``earmark COMMAND ...``.

Commands live in modules that are imported when they run, from the static table in `commands.py`;
the list in ``earmark --help`` comes from that table alone.  Standard output is for answers (with
``--json`` one document and nothing else), standard error for progress and messages.  Exit codes:
0 all well; 1 done, but some files failed or nothing was found; 2 wrong usage or an error, in one
line ``error: ...`` and, where there is advice, one line ``hint: ...``; 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from earmark.cli.commands import ReaderGone, root
from earmark.errors import EarmarkError

EXIT_FAILED = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_PIPE = 128 + signal.SIGPIPE


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    args : sequence of str, optional
        Default: those of the process.
    """
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; messages go to standard error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names that are not UTF-8 pass through unchanged
            stream.reconfigure(errors="surrogateescape")
    warnings.showwarning = _show_warning
    try:
        code = root.main(args=args, prog_name="earmark", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        return _say(error.format_message(), _usage_hint(error))
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except EarmarkError as error:
        return _say(str(error), error.hint)
    except (BrokenPipeError, ReaderGone):
        # The reader has gone; keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except OSError as error:
        return _say(_os_message(error), None)
    return code if isinstance(code, int) else 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print("warning:", " ".join(str(message).split()), file=sys.stderr)


def _say(message: str, hint: str | None) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    if hint:
        print("hint:", " ".join(hint.split()), file=sys.stderr)
    return EXIT_ERROR


def _usage_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    if isinstance(error, click.UsageError):
        return f"{context.command_path if context else 'earmark'} --help shows the usage"
    return None


def _os_message(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"
