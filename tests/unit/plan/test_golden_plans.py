"""Facts and settings in, the whole plan and its text out: one folder per case under tests/data/plans.

``case.yml`` names the recorded probe, what is changed in its facts and the settings. ``--update-golden`` writes what the
planner says now.
"""

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from unshim import plan, plan_text, records
from unshim.plan_model import Plan, Settings

CASES = Path(__file__).resolve().parents[2] / "data" / "plans"
_spec = importlib.util.spec_from_file_location("plan_conftest", Path(__file__).parent / "conftest.py")
plan_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plan_conftest)


def folders():
    return sorted(path.parent for path in CASES.glob("*/case.yml"))


def make(folder):
    case = yaml.safe_load((folder / "case.yml").read_text())
    facts = plan_conftest.load_facts(case["probe"], case.get("changes"))
    return plan.make(facts, records.from_data(Settings, case.get("settings", {})), case["node"])


@pytest.mark.parametrize("folder", folders(), ids=lambda path: path.name)
def test_plan_is_as_recorded(folder, update_golden):
    made = make(folder)
    data = json.dumps(records.to_data(made), indent=1, ensure_ascii=False) + "\n"
    text = plan_text.render(made)
    if update_golden:
        (folder / "plan.json").write_text(data)
        (folder / "plan.txt").write_text(text)
    assert json.loads(data) == json.loads((folder / "plan.json").read_text())
    assert text == (folder / "plan.txt").read_text()


@pytest.mark.parametrize("folder", folders(), ids=lambda path: path.name)
def test_plan_survives_a_trip_through_ansible(folder):
    made = make(folder)
    assert records.from_data(Plan, records.to_data(made)) == made


@pytest.mark.parametrize("folder", folders(), ids=lambda path: path.name)
def test_text_fits_a_terminal(folder):
    for line in plan_text.render(make(folder)).splitlines():
        # A diff shows a file's lines as they are; everything that unshim words itself is wrapped.
        assert len(line) <= 100 or line.lstrip().startswith(("+", "-", "@")) or len(line.split()) <= 2
