"""Scenarios that run at the same time, in the same checkout, leave what they leave in places of their own."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def test_bundles_of_the_faults_are_not_among_those_a_runbook_looks_at():
    defaults = yaml.safe_load((ROOT / "roles/unshim/defaults/main.yml").read_text())

    def directory(lab):
        found = yaml.safe_load((ROOT / "inventory" / lab / "hosts.yml").read_text())
        return {**defaults, **found["all"]["vars"]}["unshim_bundle_dir"]

    assert directory("lab") != directory("lab-rolling")


@pytest.mark.parametrize("playbook", ["create", "destroy"])
def test_docker_is_given_time(playbook):
    """A machine's removal took more than the 60 s after which community.docker gives up, while two other labs ran."""

    def tasks(items):
        for item in items:
            yield item
            yield from tasks(item.get("block", []))

    plays = yaml.safe_load((ROOT / f"molecule/_lab/{playbook}.yml").read_text())
    asked = [
        (task["name"], name, arguments)
        for play in plays
        for task in tasks(play.get("tasks", []))
        for name, arguments in task.items()
        if name.startswith("community.docker.")
    ]
    assert asked
    assert [one for one in asked if one[2].get("timeout", 60) < 300] == []
