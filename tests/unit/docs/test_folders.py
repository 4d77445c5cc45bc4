"""Every folder says what it is: in a README above it, or on the page that tells how it works."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOT_TOLD = {".ci", ".github"}  # what their tools ask for


def name(path):
    return str(path.relative_to(ROOT))


def folders(above):
    return {path.name for path in above.iterdir() if path.is_dir() and not path.name.startswith("__")}


@pytest.mark.parametrize("above", ["roles", "molecule", "tests"])
def test_every_folder_is_in_the_readme_above_it(above):
    listed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / above / "README.md").read_text(), re.MULTILINE))
    assert listed == folders(ROOT / above) - {"_lab"}


def test_every_folder_at_the_top_is_on_the_page():
    text = (ROOT / "docs/how-it-works.md").read_text().partition("## Where things are")[2]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not tracked:
        pytest.skip("no git repository: a copy has no more folders than it was given")
    top = {path.split("/")[0] for path in tracked.splitlines() if "/" in path} - NOT_TOLD
    assert {name for name in top if not re.search(rf"`{re.escape(name)}/", text)} == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("molecule/*/molecule.yml")), ids=lambda path: path.parent.name)
def test_a_scenario_says_what_its_story_is(path):
    assert path.read_text().splitlines()[1].startswith("# ")


def test_every_file_of_code_says_what_it_is():
    code = ("module_utils", "action_plugins", "filter_plugins", "callback_plugins", "deploys", "benchmarks", "docs")
    paths = [path for folder in code for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(paths) > 150
    assert [
        name(path) for path in paths if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ] == []
