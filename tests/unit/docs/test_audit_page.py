"""docs/audit.md names findings: each must be one that the planner makes, of the severity it has there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLANNER = "\n".join(path.read_text() for path in sorted((ROOT / "module_utils/unshim").glob("plan*.py")))
CALLS = {"block": "block", "warn": "warn", "info": "note"}
ROWS = re.findall(r"^\| `([\w-]+)` \| ([a-z, ]+) \|", (ROOT / "docs/audit.md").read_text(), re.MULTILINE)


def test_the_table_is_there():
    assert {"docker-caller", "docker-client", "os-end-of-life", "not-enough-space"} <= {id for id, _ in ROWS}


@pytest.mark.parametrize("id, severities", ROWS)
def test_a_finding_on_the_page_is_the_planners(id, severities):
    made = {call for call in CALLS.values() if re.search(rf"draft\.{call}\(\s*\"{id}\"", PLANNER)}
    assert made == {CALLS[severity] for severity in severities.split(", ")}


@pytest.mark.parametrize("module", ["plan_docker_callers", "plan_system"])
def test_every_finding_about_the_node_itself_is_on_the_page(module):
    text = (ROOT / f"module_utils/unshim/{module}.py").read_text()
    assert set(re.findall(r"draft\.(?:block|warn|note)\(\s*\"([\w-]+)\"", text)) <= {id for id, _ in ROWS}
