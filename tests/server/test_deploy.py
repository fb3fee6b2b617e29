"""The files in deploy/: they parse, and what they call exists."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest

from earmark.cli.serve import serve

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"

pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="no deploy/ here")


def check_options(words: list[str]) -> None:
    """Every option is one that `earmark serve` knows."""
    known = {option for param in serve.params for option in param.opts}
    assert words[0] == "serve"
    for word in words[1:]:
        if word.startswith("--"):
            assert word in known


def test_compose():
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    service = document["services"]["earmark"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert {"EARMARK_TOKEN_READ", "EARMARK_TOKEN_WRITE"} == set(service["environment"])
    for value in service["environment"].values():
        assert ":?" in value  # no server without tokens
    context = (DEPLOY / service["build"]["context"]).resolve()
    assert (context / service["build"]["dockerfile"]).is_file()
    assert set(document["volumes"]) == {"library"}


def test_dockerfile():
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = {line.split()[0] for line in lines}
    known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK"}
    assert words <= known | {"ENTRYPOINT", "CMD"}
    last = [line for line in lines if line.startswith("CMD")][-1]
    check_options(re.findall(r'"([^"]*)"', last))
    assert lines.index("USER earmark") < lines.index('ENTRYPOINT ["earmark"]')
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (DEPLOY.parent / name).exists()


def test_systemd_unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(DEPLOY / "earmark.service")
    assert parser.sections() == ["Unit", "Service", "Install"]
    service = parser["Service"]
    command = shlex.split(service["ExecStart"])
    assert command[0].endswith("/earmark")
    check_options(command[1:])
    assert service["NoNewPrivileges"] == "true"
    assert service["EnvironmentFile"].startswith("-")
