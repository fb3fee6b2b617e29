"""How evaluations print what they measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from earmark.cli import common


class WithIntervals(Protocol):
    """A report whose figures have confidence intervals."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """By name."""

    @property
    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Low and high end, by the same names."""


def print_figures(report: WithIntervals) -> None:
    """Print each figure with its interval."""
    for name, value in report.metrics.items():
        low, high = report.intervals[name]
        print(f"{name:<14}{value:.3f}  ({low:.3f} to {high:.3f})")


def answer(report: Mapping[str, Any], *, as_json: bool) -> int:
    """Print a report with the figures of groups, name what failed; the exit code."""
    failed = report["failed"]
    if as_json:
        common.print_json(dict(report))
        return common.SOME_FAILED if failed else 0
    for name, value in report.items():
        if name not in ("by_group", "failed"):
            print(f"{name:<16}{value:.3f}" if isinstance(value, float) else f"{name:<16}{value}")
    for group, values in report.get("by_group", {}).items():
        figures = "  ".join(f"{n} {values[n]:.2f}" for n in ("top1", "top10", "mrr"))
        print(f"{group:<16}{figures}  of {values['count']}")
    for one in failed:
        common.say(f"failed: {one['error']}")
    return common.SOME_FAILED if failed else 0
