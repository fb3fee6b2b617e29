"""Schemathesis makes requests of every kind from the description and looks at the answers."""

from __future__ import annotations

import shutil

import pytest

schemathesis = pytest.importorskip("schemathesis")

import hypothesis  # noqa: E402

import earmark  # noqa: E402
from earmark.server.app import create_app  # noqa: E402
from earmark.server.config import ServerConfig  # noqa: E402
from earmark.server.jobs import Jobs  # noqa: E402


class Idle(Jobs):
    """Jobs that are said to begin, and do not."""

    def begin(self, kind, task, *, root=""):
        known = {"state": "queued", "progress": None, "report": None, "error": None}
        return {"id": "0" * 12, "kind": kind, "root": root, **known}


@pytest.fixture(scope="module")
def described(library, cache, tmp_path_factory):
    own = tmp_path_factory.mktemp("described") / "library"
    shutil.copytree(library, own)  # some of the requests remove tracks
    config = ServerConfig(
        library=str(own), max_upload=200_000, max_seconds=5.0, allowed_hosts=("testserver",)
    )
    with earmark.open(own, create=False, settings=cache) as lib:
        app = create_app(lib, config)
        app.state.served.jobs = Idle(tmp_path_factory.mktemp("jobs"), lib.url, {})
        yield schemathesis.openapi.from_asgi("/openapi.json", app)
        app.state.served.close()


checks = schemathesis.checks.CHECKS

NOT_MEANT = ("not_a_server_error", "positive_data_acceptance")
"""501 and 503 are answers with a reason (below); and a filter may be well-formed for the schema but
not for the grammar, a sound a string of bytes but no sound: these are refused."""


def look(case) -> None:
    answer = case.call()
    case.validate_response(answer, excluded_checks=[checks.get_one(name) for name in NOT_MEANT])
    assert answer.status_code < 500 or answer.status_code in (501, 503), answer.text


def try_all(schema, examples: int) -> None:
    """Make so many requests to each address; tell of all that fail."""
    faults = []
    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case) -> None:
            look(case)

        try:
            ask()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - told below, all together
            faults.append(f"{operation.label}: {error}")
    assert not faults, "\n\n".join(faults)


def test_every_address_answers_as_described(described):
    try_all(described, 5)


@pytest.mark.slow
def test_every_address_answers_as_described_at_length(described):
    try_all(described, 100)
