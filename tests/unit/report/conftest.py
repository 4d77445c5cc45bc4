"""Reports of small and large fleets, made once; and a browser to look at them with."""

import shutil
import sys
from pathlib import Path

import pytest

from unshim import report, report_findings

sys.path.insert(0, str(Path(__file__).parent))
import fleet as fleets

sys.path.pop(0)


@pytest.fixture(scope="session")
def fleet():
    return fleets


@pytest.fixture(scope="session")
def mixed(fleet):
    """A node of each kind, with findings of workloads."""
    return report.make(fleet.mixed(), report_findings.read(fleet.workload_findings()), fleet.BEGAN + 4000)


@pytest.fixture(scope="session")
def browser():
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        pytest.skip("no Chromium on this machine; make setup installs it where apt has it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root, as in CI, has no sandbox; the pages are our own.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()
