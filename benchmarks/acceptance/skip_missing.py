"""A pytest plugin for machines with little installed: a test file that needs a missing package is skipped, and says so.

Not for the development environment, where a missing package is a failure.
"""

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the missing import of a test file into a skipped file."""
    report = yield
    error = getattr(getattr(report, "call", None), "excinfo", None)
    cause = None if error is None else error.value.__cause__
    if report.failed and isinstance(cause, ModuleNotFoundError):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: this machine lacks {cause.name}")
    return report
