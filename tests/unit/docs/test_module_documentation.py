"""What ansible-doc shows of a module is what the module takes, and its examples could be run."""

import dataclasses
import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

from unshim.plan_model import Settings

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
# An action of the same name does the work, where the module is documentation only.
ACTIONS = sorted(
    path.stem
    for path in (ROOT / "action_plugins").glob("*.py")
    if path.stem in MODULES and "def main(" not in (ROOT / "library" / path.name).read_text()
)


class Constructed(Exception):
    """Carries out of a module what it hands to Ansible, before it does anything."""


# Prints what an action hands to Ansible. In a process of its own: one that has loaded an action is a controller to
# ansible-core, and modules that run in it no longer report their warnings.
ASK_ACTION = """
import importlib.util, json, sys
from ansible.plugins.action import ActionBase

class Constructed(Exception):
    pass

def construct(self, argument_spec):
    raise Constructed(argument_spec, self._supports_check_mode)

specification = importlib.util.spec_from_file_location("action", sys.argv[1])
module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
ActionBase.run = lambda *_: {}
ActionBase.validate_argument_spec = construct
try:
    module.ActionModule.run(object.__new__(module.ActionModule), None, {})
except Constructed as constructed:
    print(json.dumps(constructed.args))
"""


@pytest.fixture
def constructed(monkeypatch):
    """Return a function that says what a module or action hands to Ansible: its argument spec, and if check mode works."""

    def construct(argument_spec, supports_check_mode=False, **_):
        raise Constructed(argument_spec, supports_check_mode)

    def from_module(name):
        specification = spec_from_file_location("documented_" + name, ROOT / "library" / f"{name}.py")
        module = module_from_spec(specification)
        specification.loader.exec_module(module)
        monkeypatch.setattr(module, "AnsibleModule", construct)
        with pytest.raises(Constructed) as caught:
            module.main()
        return caught.value.args

    def from_action(name):
        command = [sys.executable, "-c", ASK_ACTION, str(ROOT / "action_plugins" / f"{name}.py")]
        return json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)

    return lambda name: from_action(name) if name in ACTIONS else from_module(name)


def comparable(options, inner):
    """Return options in one shape, from documentation (``inner``: "suboptions") or an argument spec ("options")."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": list(option.get("choices") or ()),
            "aliases": list(option.get("aliases") or ()),
            "options": comparable(option.get(inner) or {}, inner),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_documented_options_are_those_it_takes(name, documented, constructed):
    options = comparable(documented[name]["doc"].get("options", {}), "suboptions")
    if name == "migration_plan":  # the action looks at these itself; see the next test
        options["settings"]["options"] = {}
    assert options == comparable(constructed(name)[0], "options")


def test_the_documented_settings_are_those_of_the_planner(documented):
    kinds = {str: ("str", None), bool: ("bool", None), tuple: ("list", "str")}
    settings = comparable(documented["migration_plan"]["doc"]["options"]["settings"]["suboptions"], "suboptions")
    shown = {name: (option["type"], option["elements"], option["default"]) for name, option in settings.items()}
    assert shown == {
        field.name: (
            *(kinds[type(field.default)] if "Archive" not in str(field.type) else ("list", "dict")),
            list(field.default) if isinstance(field.default, tuple) else field.default,
        )
        for field in dataclasses.fields(Settings)
    }


@pytest.mark.parametrize("name", MODULES)
def test_check_mode_is_supported_where_it_is_documented(name, documented, constructed):
    attributes = documented[name]["doc"]["attributes"]
    assert {"check_mode", "diff_mode", "idempotent"} <= set(attributes)
    assert (attributes["check_mode"]["support"] == "full") is constructed(name)[1]


def mistakes(given, options, where):
    """Yield what is wrong with ``given``, the arguments of an example, in the eyes of the documented options."""
    known = {alias: name for name, option in options.items() for alias in (name, *option["aliases"])}
    yield from (f"{where}.{name} is not documented" for name in given if name not in known)
    present = {known.get(name) for name in given}
    yield from (f"{where}.{name} is missing" for name in options if options[name]["required"] and name not in present)
    for name, value in given.items():
        option = options.get(known.get(name), {"choices": [], "options": {}})
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and "{{" in one:
                continue
            if option["choices"] and one not in option["choices"]:
                yield f"{where}.{name}: {one!r} is no choice"
            if option["options"]:
                yield from mistakes(one, option["options"], f"{where}.{name}")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_use_what_is_documented(name, documented):
    tasks = yaml.safe_load(documented[name]["examples"])
    used = [(module, task[module] or {}) for task in tasks for module in task if module in MODULES]
    assert name in [module for module, _ in used]
    found = [
        mistake
        for module, given in used
        for mistake in mistakes(given, comparable(documented[module]["doc"].get("options", {}), "suboptions"), module)
    ]
    assert not found
