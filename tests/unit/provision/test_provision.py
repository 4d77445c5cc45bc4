"""What a deploy asks of the modules is what the role asks of them; and what is said of a run."""

import json
import re
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from jinja2.nativetypes import NativeEnvironment

import containerd_config
import containerd_install
from unshim import provision, records
from unshim.plan_model import Plan, Settings
from unshim.provision import Outcome

ROOT = Path(__file__).parents[3]
ROLE = yaml.safe_load((ROOT / "roles/containerd/tasks/main.yml").read_text())
MODULES = {"containerd_install": containerd_install, "containerd_config": containerd_config}
FOLDERS = [
    path.parent
    for path in sorted((ROOT / "tests/data/plans").glob("*/case.yml"))
    if "goal: provision" in path.read_text()
]
OMIT = object()


def as_ansible_would(module, plan, settings):
    """The arguments of the role's task, rendered and completed from the module's argument spec."""
    environment = NativeEnvironment()
    environment.filters["regex_replace"] = lambda text, pattern, by: re.sub(pattern, by, text)
    variables = {
        "ansible_facts": {"runtime_plan": plan},
        "omit": OMIT,
        "unshim_containerd_version": settings.containerd_version,
        "unshim_cri_endpoint": settings.cri_endpoint,
    }
    task = next(task[module] for task in ROLE if module in task)
    given = {name: environment.from_string(text).render(variables) for name, text in task.items()}
    given = {name: list(value) if hasattr(value, "__next__") else value for name, value in given.items()}
    result = ArgumentSpecValidator(MODULES[module].ARGUMENTS).validate(
        {name: value for name, value in given.items() if value is not OMIT}
    )
    assert not result.error_messages
    return result.validated_parameters


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_modules_are_asked_for_the_same_as_by_the_role(folder):
    data = json.loads((folder / "plan.json").read_text())
    made = records.from_data(Plan, data)
    settings = records.from_data(Settings, yaml.safe_load((folder / "case.yml").read_text())["settings"])
    theirs = as_ansible_would("containerd_config", data, settings)
    assert provision.config_arguments(made, settings) == theirs
    theirs = as_ansible_would("containerd_install", data, settings)
    theirs["packages"] = [{"name": one["name"], "version": one["version"]} for one in theirs["packages"]]
    ours = provision.install_arguments(made, settings)
    assert ours == theirs
    for one in ours["packages"]:
        one["version"] = "9"
    assert not ours["packages"] or ours != theirs  # the comparison sees what it compares


def test_archives_are_refused_before_anything_is_done():
    made = records.from_data(Plan, json.loads((ROOT / "tests/data/plans/install-archive/plan.json").read_text()))
    assert made.archives and not made.blockers
    refused = provision.blocked(made)
    assert refused.status == "blocked" and "without Python; nothing was changed" in refused.reason


def test_blockers_are_said_in_the_plans_words():
    folder = ROOT / "tests/data/plans/install-alpine"
    made = records.from_data(Plan, json.loads((folder / "plan.json").read_text()))
    refused = provision.blocked(made)
    assert refused.status == "blocked"
    assert all(finding.message in " ".join(refused.reason.split()) for finding in made.blockers)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], 3),
        (["unchanged", "changed"], 0),
        (["unchanged", "not-reached"], 3),
        (["not-reached", "blocked"], 2),
        (["changed", "failed"], 2),
    ],
)
def test_exit_code(statuses, code):
    assert provision.exit_code(Outcome(str(number), status) for number, status in enumerate(statuses)) == code


INSTALLED = {
    "changed": True,
    "repository": "/etc/apt/sources.list.d/docker.sources",
    "completed": {"libc6": "half configured"},
    "packages": {"a": {"before": "1", "after": "2"}, "b": {"before": "", "after": "3"}, "c": {"before": "4", "after": "4"}},
    "also_installed": {"runc": "1.1"},
    "held": ["b"],
}  # fmt: skip
CONFIGURED = {
    "changed": True,
    "changed_files": ["/etc/containerd/config.toml"],
    "loaded_modules": ["overlay"],
    "set_sysctls": {"net.ipv4.ip_forward": "1"},
    "restarted": True,
    "cri": {"runtime_name": "containerd", "runtime_version": "1.7.24"},
}


def test_what_is_said():
    diff = {"before_header": "/a (absent)", "after_header": "/a", "before": "", "after": "new\n"}
    changes = (*provision.install_changes(INSTALLED), *provision.config_changes(CONFIGURED))
    text = provision.render(
        [
            Outcome("n2", "not-reached", "no route to host"),
            Outcome(
                "n1", "changed", "", changes, ("careful",), (diff,), provision.runtime(CONFIGURED)
            ),
            Outcome("n3", "failed", "first line\nsecond line"),
            Outcome("n4", "unchanged"),
        ],
        dry=False,
        diff=True,
    )  # fmt: skip
    assert text == (
        "n1: changed; containerd 1.7.24 answers\n"
        "  add the package repository in /etc/apt/sources.list.d/docker.sources\n"
        "  complete the installation of libc6, half configured\n"
        "  install a 2 in place of 1\n"
        "  install b 3\n"
        "  install runc 1.1, which it needs\n"
        "  hold b in its version\n"
        "  write /etc/containerd/config.toml\n"
        "  load the kernel module overlay\n"
        "  set net.ipv4.ip_forward = 1\n"
        "  start containerd with it\n"
        "  warning: careful\n"
        "    --- /a (absent)\n"
        "    +++ /a\n"
        "    @@ -0,0 +1 @@\n"
        "    +new\n"
        "n2 was not reached: no route to host\n"
        "n3 failed: first line\n"
        "  second line\n"
        "n4: nothing to do\n"
        "4 nodes: 1 nothing to do, 1 changed, 1 not reached, 1 failed.\n"
    )


def test_a_version_that_is_not_known_yet_is_no_reason_to_say_nothing():
    """Of packages that the lists of a new machine do not know."""
    result = {
        **INSTALLED,
        "packages": {"a": {"before": "", "after": ""}},
        "also_installed": {},
        "completed": {},
        "held": [],
    }
    assert provision.install_changes({**result, "repository": ""}) == ["install a"]


def test_a_dry_run_says_would():
    text = provision.render([Outcome("n1", "changed", changes=("install a",))], dry=True)
    assert text.startswith("n1: would be changed\n") and text.endswith("1 node: would be changed.\n")
