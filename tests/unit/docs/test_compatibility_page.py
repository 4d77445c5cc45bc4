"""docs/compatibility.md lists the checks there are, and its commands and files are so."""

import re
from pathlib import Path

from unshim.node_compat.registry import GROUPS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/compatibility.md"
HEADING = "## Checks\n"


def cell(text):
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def checks():
    parts = []
    for group, members in GROUPS.items():
        last = "shown by" if group == "Shown elsewhere" else "where it is judged"
        parts.append(f"\n### {group}\n\n| check | what holds | what is different on containerd | {last} | source |\n")
        parts.append("|---|---|---|---|---|\n")
        for check in members:
            how = cell(check.elsewhere) or ("the node" if check.quick else "a pod")
            cells = (cell(check.title), cell(check.guards), how, cell(check.source))
            parts.append(f"| {check.id} | {' | '.join(cells)} |\n")
    return "".join(parts)


def test_the_page_lists_the_checks(update_golden):
    head, heading, _ = PAGE.read_text().partition(HEADING)
    if update_golden:
        PAGE.write_text(head + HEADING + checks())
    assert heading and PAGE.read_text() == head + HEADING + checks()


def test_what_the_page_names_is_there():
    head = PAGE.read_text().partition(HEADING)[0]
    paths = set(re.findall(r"(?:playbooks|tests|docs)/[\w/.]+\w", head)) | {
        "docs/" + path for path in re.findall(r"\]\((schemas/[\w.]+)\)", head)
    }
    assert len(paths) >= 4
    for path in paths:
        assert (ROOT / path).exists(), path
    settings = set(re.findall(r"unshim_\w+", head))
    defaults = (ROOT / "roles/unshim/defaults/main.yml").read_text()
    assert settings and all(f"\n{name}:" in defaults for name in settings)
