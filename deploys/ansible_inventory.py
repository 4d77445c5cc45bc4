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

from unshim import targets


def read(inventories: list[str], limit: str = "") -> tuple[dict[str, Any], targets.Defaults]:
    """Return what ``ansible-inventory --list`` says, and what ansible.cfg says about reaching nodes.

    Both are asked at once, as processes of their own: ansible-core takes a second to start, and imported it would patch
    the standard library.

    Raises:
        targets.InventoryProblem: the inventory cannot be read.
    """
    arguments = ["--list"]
    for inventory in inventories:
        arguments += ["-i", inventory]
        if "," not in inventory and not Path(inventory).exists():
            raise targets.InventoryProblem(f"there is no inventory {inventory}.")
    if limit:
        arguments += ["--limit", limit]
    with _ansible("inventory", *arguments) as listing, _ansible("config", "dump", "-f", "json", "-t", "base") as config:
        everything = _answer("ansible-inventory", listing)
        known = {entry.get("name"): entry.get("value") for entry in _answer("ansible-config", config)}
    base = targets.Defaults(
        user=known.get("DEFAULT_REMOTE_USER") or "",
        key=known.get("DEFAULT_PRIVATE_KEY_FILE") or "",
        check_host_key=known.get("HOST_KEY_CHECKING") is not False,
    )
    return everything, base


def _ansible(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ansible", program, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )


def _answer(name: str, process: subprocess.Popen[str]) -> Any:
    output, errors = process.communicate()
    said = " ".join(line.strip() for line in errors.splitlines() if line.strip())
    if process.returncode:
        raise targets.InventoryProblem(f"{name} failed: {said[-400:] or 'it said nothing'}")
    _refuse_unparsed(errors)
    return json.loads(output)


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
