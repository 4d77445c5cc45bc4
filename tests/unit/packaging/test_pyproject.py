"""What pip installs of a checkout is all that its code needs, and what pyproject.toml promises the tests use."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "module_utils"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTALLED = PYPROJECT["tool"]["setuptools"]
PINS = [
    Requirement(line.partition(" #")[0])
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
# The bundle that brings this release of ansible-core.
BUNDLES = {"ansible-core": {"14.5.0": "2.21.5", "12.3.0": "2.19.14"}}


def sources():
    return [path for path in SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_every_package_is_installed():
    there = {".".join(path.parent.relative_to(SOURCES).parts) for path in sources() if path.name == "__init__.py"}
    assert there == set(INSTALLED["packages"])


def test_every_file_that_is_no_code_is_installed():
    data = {
        path
        for package, patterns in INSTALLED["package-data"].items()
        for pattern in patterns
        for path in SOURCES.joinpath(*package.split(".")).glob(pattern)
    }
    wanted = {path for path in sources() if path.suffix != ".py" and "egg-info" not in str(path)}
    assert wanted - data == set()


def test_the_version_is_written_once():
    assert "version" not in PYPROJECT["project"] and PYPROJECT["project"]["dynamic"] == ["version"]
    assert INSTALLED["dynamic"]["version"] == {"attr": "unshim.__version__"}


@pytest.mark.parametrize(
    "declared", PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"]["docs"]
)
def test_what_is_pinned_is_in_the_declared_range(declared):
    wanted = Requirement(declared)
    bundles = BUNDLES.get(wanted.name)
    name = "ansible" if bundles else wanted.name
    pinned = [str(pin.specifier).removeprefix("==") for pin in PINS if pin.name == name]
    assert pinned, f"requirements.txt does not pin {name}"
    for version in pinned:
        assert wanted.specifier.contains(bundles[version] if bundles else version)


def test_the_execution_environment_has_the_same_packages():
    image = yaml.safe_load((ROOT / "execution-environment.yml").read_text())["dependencies"]
    core = image["ansible_core"]["package_pip"]
    assert sorted([core, *image["python"]]) == sorted(PYPROJECT["project"]["dependencies"])
    assert (ROOT / image["galaxy"]).exists()


def test_the_hosted_workflow_runs_what_a_developer_runs():
    steps = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]["steps"]
    assert [step["run"].split()[-2:] for step in steps if "make" in step.get("run", "")] == [["make", "test"]]


def test_the_roles_name_the_oldest_ansible_core_that_is_declared():
    [declared] = [one for one in map(Requirement, PYPROJECT["project"]["dependencies"]) if one.name == "ansible-core"]
    metas = [yaml.safe_load(path.read_text())["galaxy_info"] for path in ROOT.glob("roles/*/meta/main.yml")]
    assert {f">={meta['min_ansible_version']}" for meta in metas} == {str(declared.specifier)}
    assert {meta["license"] for meta in metas} == {PYPROJECT["project"]["license"]}
