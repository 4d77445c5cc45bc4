"""docs/settings.md is the roles' argument spec, and the defaults that apply are those the spec names."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
SPEC = ROOT / "roles/unshim/meta/argument_specs.yml"
DEFAULTS = ROOT / "roles/unshim/defaults/main.yml"
PAGE = ROOT / "docs/settings.md"

HEAD = """# Settings

Every setting, its type and default, and what it means; set them in the inventory (`inventory/example/group_vars/all.yml`
shows how) or with `-e`. This page is made from `roles/unshim/meta/argument_specs.yml`.

| setting | type | default | meaning |
|---|---|---|---|
"""


def options():
    return yaml.safe_load(SPEC.read_text())["argument_specs"]["main"]["options"]


def shown(value):
    return "(empty)" if value in ("", [], {}) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def marked(text):
    return re.sub(r"\b[CEO]\(([^)]*)\)", r"`\1`", text)


def page():
    rows = []
    for name, option in options().items():
        meaning = marked(option["description"])
        if "choices" in option:
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"] if choice) + "."
        if "options" in option:
            keys = (f"`{key}` ({marked(value['description']).rstrip('.')})" for key, value in option["options"].items())
            meaning += f" Keys of an entry: {', '.join(keys)}."
        rows.append(f"| `{name}` | {option['type']} | {shown(option['default'])} | {meaning} |\n")
    return HEAD + "".join(rows)


def test_settings_page_is_the_argument_spec(update_golden):
    if update_golden:
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def test_defaults_are_those_of_the_spec():
    assert yaml.safe_load(DEFAULTS.read_text()) == {name: option["default"] for name, option in options().items()}


def test_the_example_inventory_names_only_settings_that_exist():
    lines = (ROOT / "inventory/example/group_vars/all.yml").read_text().splitlines()
    named = {line[2:].split(":")[0] for line in lines if line.startswith("# unshim_")}
    assert named and named <= set(options())
