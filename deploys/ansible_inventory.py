"""The nodes of an Ansible inventory, of any kind that Ansible itself can read: files, directories, scripts, plugins."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "module_utils"))

from ansible_listing import MARK

from unshim import targets


def ask(inventories: list[str], limit: str = "") -> subprocess.Popen[str]:
    """Have Ansible list an inventory and its own settings, for :func:`read`.

    That takes most of a second, in a process of its own: imported, ansible-core would patch the standard library.

    Raises:
        targets.InventoryProblem: there is no such inventory.
    """
    arguments = ["--list"]
    for inventory in inventories:
        arguments += ["-i", inventory]
        if "," not in inventory and not Path(inventory).exists():
            raise targets.InventoryProblem(f"there is no inventory {inventory}.")
    if limit:
        arguments += ["--limit", limit]
    command = [sys.executable, str(Path(__file__).with_name("ansible_listing.py")), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )


def read(asked: subprocess.Popen[str]) -> tuple[dict[str, Any], targets.Defaults]:
    """Return what ``ansible-inventory --list`` says, and what ansible.cfg says about reaching nodes.

    Raises:
        targets.InventoryProblem: the inventory cannot be read.
    """
    output, said = asked.communicate()
    lines = said.splitlines()
    settings = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
    errors = [line for line in lines if not line.startswith(MARK)]
    if asked.returncode or not settings:
        reason = " ".join(" ".join(errors).split())
        raise targets.InventoryProblem(f"ansible-inventory failed: {reason[-400:] or 'it said nothing'}")
    _refuse_unparsed("\n".join(errors))
    known = json.loads(settings[0])
    base = targets.Defaults(
        user=known["DEFAULT_REMOTE_USER"] or "",
        key=known["DEFAULT_PRIVATE_KEY_FILE"] or "",
        check_host_key=known["HOST_KEY_CHECKING"] is not False,
    )
    return json.loads(output), base


def _refuse_unparsed(errors: str) -> None:
    """ansible-inventory takes a file it cannot read for an empty one, and says so beside what it prints."""
    path = re.search(r"Unable to parse (.+) as an inventory source", errors)
    if path is None:
        return
    reasons = dict(re.findall(r"Failed to parse inventory with '(\w+)' plugin: (.+)", errors))
    plugin = "yaml" if path[1].endswith((".yml", ".yaml")) else "ini"
    place = re.search(rf"Origin: ({re.escape(path[1])}:\d+)", errors)
    reason = reasons.get(plugin) or next(iter(reasons.values()), "no plugin of Ansible's can read it")
    raise targets.InventoryProblem(f"the inventory {place[1] if place else path[1]} cannot be read: {reason}")


def nodes(everything: dict[str, Any], groups: list[str] | None = None) -> list[str]:
    """Return the hosts of some groups, else of the groups of Kubernetes nodes.

    Raises:
        targets.InventoryProblem: there are none.
    """
    found = targets.members(everything, groups or targets.DEFAULT_GROUPS)
    if not found:
        wanted = " and ".join(groups or targets.DEFAULT_GROUPS)
        raise targets.InventoryProblem(
            f"the inventory has no hosts in {wanted} that --limit leaves: name another group with --group, such as all."
        )
    return found
