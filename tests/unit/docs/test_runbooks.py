"""Every command of every runbook is executed by a test against the lab, in a phase that some scenario runs."""

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/runbooks"))

import runbook

NAMES = sorted(path.stem for path in runbook.RUNBOOKS.glob("*.md"))
DOCSTRING = re.compile(r'""".*?"""', re.DOTALL)
CALL = re.compile(r'runbook\(\s*"([\w-]+)",\s*"([^"]+)"')


def phases():
    """Return the test directories that scenarios' verify steps name, by their real paths."""
    found = set()
    for scenario in ROOT.glob("molecule/*/molecule.yml"):
        for step in yaml.safe_load(scenario.read_text())["scenario"]["test_sequence"]:
            found |= {(scenario.parent / word).resolve() for word in step.split()[1:] if "/tests/" in word}
    return found


def executed():
    """Return {(runbook, section): [test files]}; a test whose directory no scenario runs does not count."""
    table = {}
    run = phases()
    for path in sorted([*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tests").rglob("conftest.py")]):
        if "unit" not in path.parts and run & {path, *path.parents}:
            for call in CALL.findall(DOCSTRING.sub("", path.read_text())):
                table.setdefault(call, []).append(path)
    return table


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_executed(name):
    """Where two sections have the very same block, one of them is enough."""
    table = executed()
    texts = {block.text for other in NAMES for block in runbook.blocks(other) if (other, block.section) in table}
    orphans = [
        f"{name}.md:{block.line} ({block.section})"
        for block in runbook.blocks(name)
        if "variables" not in block.words and block.text not in texts
    ]
    assert runbook.sections(name)
    assert orphans == []


def test_no_test_asks_for_a_section_that_is_gone():
    there = {(name, section) for name in NAMES for section in runbook.sections(name)}
    assert set(executed()) - there == set()


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_set_before_they_are_used(name):
    used = {
        word
        for block in runbook.blocks(name)
        if "variables" not in block.words
        for word in re.findall(r"\$\{?([A-Z_]+)", block.text)
    }
    assert used <= runbook.variables(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_and_setting_named_is_there(name):
    text = (runbook.RUNBOOKS / f"{name}.md").read_text()
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (runbook.RUNBOOKS / link).exists(), link
    for playbook in re.findall(r"playbooks/\w+\.yml", text):
        assert (ROOT / playbook).exists(), playbook
    settings = yaml.safe_load((ROOT / "roles/unshim/meta/argument_specs.yml").read_text())["argument_specs"]["main"][
        "options"
    ]
    named = set(re.findall(r"\bunshim_\w+", text)) - {"unshim_hosts"}
    assert named <= set(settings), named - set(settings)


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_followed_by_what_one_should_see(name):
    text = (runbook.RUNBOOKS / f"{name}.md").read_text()
    assert "You should see" in text and len(text.splitlines()) <= 90
