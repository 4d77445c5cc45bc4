"""Runs the commands of docs/runbooks against the lab, as somebody would who follows one of them.

A block fenced as ``sh`` is run as it stands; further words after ``sh`` say how:

- ``variables``: what the reader sets first; the test gives its own values for exactly these.
- ``on-node``: as root on the node, not on the controller.
- ``fails``: it is expected to fail.

Blocks of other languages show a file or what one sees, and are not run.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
WORDS = {"variables", "on-node", "fails"}


@dataclass(frozen=True)
class Block:
    section: str  # the heading above it
    words: frozenset  # after "sh"
    text: str
    line: int


@dataclass(frozen=True)
class Said:
    """What one block said; ``output`` is standard output and error, in order."""

    block: Block
    code: int
    output: str


def blocks(name):
    """Return the ``sh`` blocks of a runbook, in order."""
    found, section, fence, lines, started = [], "", None, [], 0
    for number, line in enumerate((RUNBOOKS / f"{name}.md").read_text().splitlines(), 1):
        opening = re.match(r"```(\S*)\s*(.*)$", line)
        if fence is None and line.startswith("#"):
            section = line.lstrip("# ").strip()
        elif fence is None and opening:
            fence, words, lines, started = opening[1], frozenset(opening[2].split()), [], number
        elif line.startswith("```"):
            if fence == "sh":
                assert words <= WORDS, f"{name}.md:{started}: {words - WORDS}"
                found.append(Block(section, words, "\n".join(lines), started))
            fence = None
        else:
            lines.append(line)
    return found


def variables(name):
    """Return the variables that a runbook asks its reader to set."""
    return {word for block in blocks(name) if "variables" in block.words for word in re.findall(r"(\w+)=", block.text)}


def sections(name):
    """Return the headings with commands below them."""
    return list(dict.fromkeys(block.section for block in blocks(name) if "variables" not in block.words))


def execute(name, section, values, on_node, environment, cwd=ROOT):
    """Run the commands of one section in order and return [Said].

    Args:
        values: for each variable the runbook has, and for no other.
        on_node: called with a script, returns (code, output).
        environment: of commands on the controller.

    Raises:
        AssertionError: a command fails that should not, or the other way round; those after it are not run.
    """
    asked = variables(name)
    assert set(values) == asked, f"{name}.md asks for {sorted(asked)}"
    assert section in sections(name), f"{name}.md has commands below {sections(name)}"
    said = []
    for block in blocks(name):
        if block.section != section or "variables" in block.words:
            continue
        if "on-node" in block.words:
            code, output = on_node("set -e\n" + block.text)
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                env={**environment, **values},
            )  # fmt: skip
            code, output = done.returncode, done.stdout
        where = f"docs/runbooks/{name}.md:{block.line} ({section})"
        assert (code != 0) == ("fails" in block.words), f"{where} ended with {code}:\n{block.text}\n{output}"
        assert "Traceback" not in output, f"{where}:\n{output}"
        said.append(Said(block, code, output))
    return said


def environment_of_a_user():
    """Return this process' environment without what molecule and Ansible have put into it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
    return {**kept, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"}
