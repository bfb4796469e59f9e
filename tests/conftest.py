"""What every test run shares: hypothesis settings, a seed that can be given again, and a ban on skips."""

from __future__ import annotations

import os
import secrets

import pytest
from hypothesis import settings

pytest_plugins = ["tests.servers"]

# No deadline: the first example of a kernel compiles it. The blob repeats one failing example anywhere.
settings.register_profile("gnomon", deadline=None, print_blob=True)
settings.load_profile("gnomon")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail the run if any test was skipped")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """In CI choose hypothesis' seed here, so that the log of a failure holds it.

    Elsewhere hypothesis chooses, because a given seed turns off its memory of examples that failed. Workers
    of xdist get the option from the first process.
    """
    if "CI" in os.environ and not config.getoption("hypothesis_seed", None):
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_report_header(config: pytest.Config) -> str:
    seed = config.getoption("hypothesis_seed", None)
    return (
        f"hypothesis seed: {seed} (repeat with --hypothesis-seed={seed})"
        if seed
        else "hypothesis seed: random"
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption("no_skips"):
        return
    if reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
