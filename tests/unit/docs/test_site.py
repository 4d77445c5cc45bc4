"""The documentation can be built as a site, without a warning; what it and the README link to is there, and every name in them exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unshim.monitoring import metrics

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])
SETTINGS = yaml.safe_load((ROOT / "roles/unshim/meta/argument_specs.yml").read_text())["argument_specs"]["main"][
    "options"
]
# A variable of the playbooks, the packages beside `unshim`, and the callback.
OTHER_NAMES = ("unshim_hosts", "unshim_node", "unshim_kube", "unshim_cli", "unshim_progress")


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", directory],
        cwd=ROOT, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return directory


def test_the_site_has_every_page_and_the_schemas(site):
    built = {str(path.relative_to(site).with_suffix(".md")) for path in site.rglob("*.html")}
    assert {str(path.relative_to(ROOT / "docs")) for path in PAGES if path.is_relative_to(ROOT / "docs")} <= built
    assert len(list(site.glob("schemas/*.json"))) == len(list(ROOT.glob("docs/schemas/*.json")))


def test_the_site_needs_nothing_from_elsewhere(site):
    """Closed networks are where a runbook is read."""
    fetched = re.compile(
        r"""<(?:script|img|iframe)[^>]*\ssrc="?(https?:|//)|<link[^>]*rel="?stylesheet[^>]*href="?(https?:|//)"""
    )
    assert [path.name for path in site.rglob("*.html") if fetched.search(path.read_text())] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_and_settings_named_exist(page):
    if page.name in ("CHANGELOG.md", "modules.md"):
        pytest.skip("one tells of what was, the other is made from the modules")
    text = page.read_text()
    # Sources upstream are written without code marks.
    named = re.findall(r"`((?:tests|roles|docs|inventory|molecule|library|module_utils|benchmarks)/[\w./-]*\w)", text)
    for path in [*named, *re.findall(r"\b(?:playbooks|deploys)/\w+\.\w+", text)]:
        assert (
            path.startswith("inventory/mine") or "NAME" in path or (ROOT / path).exists() or list(ROOT.glob(path + "*"))
        ), path
    known = {*SETTINGS, *(metric.name for metric in metrics.METRICS), *OTHER_NAMES}
    unknown = set(re.findall(r"`(unshim_[a-z_]+[a-z])\b(?!_)", text)) - known
    # What stands for a family, as `unshim_dind_...`.
    assert [one for one in unknown if not any(setting.startswith(one + "_") for setting in SETTINGS)] == []


@pytest.mark.parametrize("page", [ROOT / "docs/promises.md", ROOT / "README.md"], ids=name)
def test_tests_that_show_a_promise_are_there(page):
    text = page.read_text()
    shown = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", text) + [
        (path, "") for path in re.findall(r"\]\((tests/[\w/.]+)\)", text)
    ]
    assert len(shown) >= 8
    for path, function in shown:
        assert (ROOT / path).exists(), path
        assert not function or f"\ndef {function}(" in (ROOT / path).read_text(), f"{path}::{function}"


def test_every_playbook_is_on_its_page():
    listed = set(re.findall(r"^\| `(playbooks/\w+\.yml)`", (ROOT / "docs/playbooks.md").read_text(), re.MULTILINE))
    assert listed == {name(path) for path in ROOT.glob("playbooks/*.yml")}
