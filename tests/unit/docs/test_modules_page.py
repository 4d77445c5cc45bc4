"""docs/modules.md is what the modules say of themselves."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/modules.md"

HEAD = """# Modules

For playbooks of one's own; those of unshim use the same. All are in `library/`, which `ansible.cfg` names, and
`ansible-doc --module-path library NAME` shows the same with examples. This page is made from the modules' own documentation.
"""
SUPPORT = (("check_mode", "check mode"), ("diff_mode", "diff mode"), ("idempotent", "idempotent"))


def marked(text):
    """Return a text of ansible-doc as Markdown."""
    text = re.sub(r"\b([ORV]+)\(ignore:", r"\1(", text)  # what is no option or return value of this module
    text = re.sub(r"\b(?:RV|[OVCEI])\(((?:[^()\\]|\\.|\([^()]*\))*)\)", r"`\1`", text).replace("\\)", ")")
    text = re.sub(r"\bM\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bL\(([^,]*), *([^)]*)\)", r"[\1](\2)", text)
    return re.sub(r"\bB\(([^)]*)\)", r"**\1**", re.sub(r"\bU\(([^)]*)\)", r"<\1>", text))


def sentences(description):
    return [description] if isinstance(description, str) else description


def cell(description):
    return marked(" ".join(sentences(description))).replace("|", "\\|").replace("\n", " ")


def rows(options, inner, above=""):
    """Yield a row for each option, those inside of others below them."""
    for name, option in sorted(options.items(), key=lambda item: (not item[1].get("required"), item[0])):
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        if option.get("required"):
            default = "**required**"
        elif option.get("default") in (None, "", [], {}):
            default = ""
        else:
            value = option["default"]
            default = f"`{str(value).lower() if isinstance(value, bool) else value}`"
        meaning = cell(option["description"])
        if option.get("choices"):
            choices = option["choices"]
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in choices if choice) + "."
        yield f"| `{above}{name}` | {kind} | {default} | {meaning} |\n"
        yield from rows(option.get(inner) or {}, inner, f"{above}{name}.")


def part(name, said):
    doc, returned = said["doc"], said["return"] or {}
    support = (
        f"{title}: {doc['attributes'][key]['support']}" for key, title in SUPPORT if key in doc.get("attributes", {})
    )
    text = f"\n## {name}\n\n{marked(doc['short_description'])}. {'; '.join(support).capitalize()}.\n\n"
    text += "".join(f"- {marked(one)}\n" for one in sentences(doc["description"]))
    if doc.get("options"):
        text += "\n| option | type | default | meaning |\n|---|---|---|---|\n"
        text += "".join(rows(doc["options"], "suboptions"))
    if returned:
        text += "\n| returns | type | when | what |\n|---|---|---|---|\n"
        for key, value in returned.items():
            text += f"| `{key}` | {value['type']} | {cell(value['returned'])} | {cell(value['description'])} |\n"
    return text


def page(documented):
    parts = (part(name, said) for name, said in sorted(documented.items()))
    return HEAD + "".join(parts)


def test_the_page_is_the_modules_documentation(documented, update_golden):
    if update_golden:
        PAGE.write_text(page(documented))
    assert PAGE.read_text() == page(documented)


def test_no_markup_of_ansibles_is_left():
    assert re.findall(r"\b(?:RV|[OVCEIMLUB])\([^)]*\)", PAGE.read_text()) == []
