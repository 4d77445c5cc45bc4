"""docs/scan.md lists the rules there are, and what it says of files and commands is so."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from unshim.workloads import allow_list
from unshim.workloads.registry import GROUPS
from unshim_kube.workload_objects import RESOURCES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/scan.md"
HEADING = "## Rules\n"


def cell(text):
    return text.replace("|", "\\|").replace("*", "\\*")


def rules():
    parts = []
    for group, members in GROUPS.items():
        parts.append(
            f"\n### {group}\n\n| rule | | the object ... | why | instead | source |\n|---|---|---|---|---|---|\n"
        )
        for rule in members:
            cells = (rule.title, rule.why, rule.instead, rule.source)
            parts.append(f"| `{rule.id}` | {rule.severity} | {' | '.join(map(cell, cells))} |\n")
    return "".join(parts)


def test_the_page_lists_the_rules(update_golden):
    head, heading, _ = PAGE.read_text().partition(HEADING)
    if update_golden:
        PAGE.write_text(head + HEADING + rules())
    assert heading and PAGE.read_text() == head + HEADING + rules()


def test_the_allow_list_on_the_page_is_one():
    [text] = re.findall(r"(?s)```yaml\n(.*?)```", PAGE.read_text())
    assert [entry.object for entry in allow_list.parse(text, "docs/scan.md")] == ["DaemonSet/monitoring/node-agent"]


def test_the_options_on_the_page_exist():
    done = subprocess.run(
        [sys.executable, "bin/unshim-scan", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    head = PAGE.read_text().partition(HEADING)[0]
    options = set(re.findall(r"(?<=[ `])--[a-z-]+", head)) - {"--raw"}
    assert len(options) > 6
    for option in options:
        assert option in done.stdout, option


def test_the_role_allows_what_is_read_and_nothing_else():
    objects = list(yaml.safe_load_all((ROOT / "deploy/workload-scan-rbac.yml").read_text()))
    [role] = [one for one in objects if one["kind"] == "ClusterRole"]
    assert {rule["apiGroups"][0]: tuple(rule["resources"]) for rule in role["rules"]} == RESOURCES
    assert all(rule["verbs"] == ["get", "list"] and len(rule["apiGroups"]) == 1 for rule in role["rules"])
