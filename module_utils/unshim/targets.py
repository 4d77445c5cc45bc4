"""From what ``ansible-inventory --list`` prints to the nodes a tool other than Ansible can look at, and how to reach them.

The variables are those that ansible-core documents for its connection plugins ssh, local and community.docker.docker
(docs.ansible.com/ansible/latest/collections/ansible/builtin/ssh_connection.html, section "Parameters") and for become.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import cattrs
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from . import settings
from .plan_model import Settings

DEFAULT_GROUPS = ("kube_node", "kube_control_plane")
CONNECTIONS = {
    "ssh": "ssh", "smart": "ssh", "ansible.builtin.ssh": "ssh", "paramiko": "ssh", "paramiko_ssh": "ssh",
    "ansible.builtin.paramiko_ssh": "ssh", "ansible.netcommon.libssh": "ssh",
    "local": "local", "ansible.builtin.local": "local",
    "docker": "docker", "community.docker.docker": "docker", "community.docker.docker_api": "docker",
}  # fmt: skip
BECOME_PROGRAMS = {
    "sudo": "sudo", "ansible.builtin.sudo": "sudo", "doas": "doas", "community.general.doas": "doas",
}  # fmt: skip
# Of each thing, the names Ansible knows it by; the first that is set wins.
HOST = ("ansible_host", "ansible_ssh_host")
PORT = ("ansible_port", "ansible_ssh_port")
USER = ("ansible_user", "ansible_ssh_user")
PASSWORD = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
KEY = ("ansible_private_key_file", "ansible_ssh_private_key_file")
KEY_PASSWORD = ("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase")
CHECK_HOST_KEY = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
BECOME_PASSWORD = ("ansible_become_password", "ansible_become_pass")
SSH_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")


class InventoryProblem(Exception):
    """A host's variables cannot be used; the message says which, and what to do."""


@dataclass(frozen=True)
class Defaults:
    """What holds where the inventory says nothing: the command line, then ansible.cfg."""

    user: str = ""
    key: str = ""
    password: str = ""
    become: bool = True  # unless the inventory says otherwise
    never_become: bool = False  # whatever the inventory says
    become_password: str = ""
    check_host_key: bool = True
    tool: str = "the audit"  # who asks, and the playbook that reaches more
    playbook: str = "playbooks/audit.yml"


@dataclass(frozen=True)
class Target:
    """One node and how to reach it."""

    node: str
    connection: str = "ssh"  # "ssh", "local", "docker"
    address: str = ""  # a host, or a container
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    key: str = ""
    key_password: str = field(default="", repr=False)
    host_key: str = ""  # as StrictHostKeyChecking of ssh_config: "no", "yes", "accept-new"; "" if nobody says
    ssh_options: tuple[tuple[str, str], ...] = ()  # of ssh_config, from ansible_ssh_common_args and its like
    ssh_config: str = ""  # another file than ~/.ssh/config
    become: str = "sudo"  # the program, "" to stay who we are
    become_password: str = field(default="", repr=False)
    settings: Settings = field(default_factory=Settings)
    problem: str = ""  # why it cannot be looked at


def members(listing: dict[str, Any], groups: Iterable[str]) -> list[str]:
    """Return the hosts of some groups and the groups in them, each once, in the inventory's order."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = list(groups)
    while waiting:
        name = waiting.pop(0)
        if name in seen or not isinstance(listing.get(name), dict):
            continue
        seen.add(name)
        found.update(dict.fromkeys(listing[name].get("hosts", [])))
        waiting += listing[name].get("children", [])
    return list(found)


def read(listing: dict[str, Any], nodes: Iterable[str], defaults: Defaults) -> list[Target]:
    """Return a target for each node; one whose variables cannot be used has a ``problem`` that says why."""
    hostvars = listing.get("_meta", {}).get("hostvars", {})
    return [_target(node, hostvars.get(node, {}), defaults) for node in nodes]


def _target(node: str, variables: dict[str, Any], defaults: Defaults) -> Target:
    try:
        return _read(node, _reader(node, variables), defaults)
    except InventoryProblem as problem:
        return Target(node, problem=str(problem))


def _read(node: str, value: Callable[..., Any], defaults: Defaults) -> Target:
    named = str(value("ansible_connection") or "ssh")
    connection = CONNECTIONS.get(named)
    if connection is None:
        raise InventoryProblem(
            f"{defaults.tool} has no connection {named} (ansible_connection); it has ssh, local and docker. "
            f"Use {defaults.playbook}."
        )
    become, method = value("ansible_become"), str(value("ansible_become_method") or "sudo")
    wants_root = not defaults.never_become and (defaults.become if become is None else _truth(become))
    if wants_root and method not in BECOME_PROGRAMS:
        raise InventoryProblem(
            f"{defaults.tool} becomes root by sudo or doas, not by {method} (ansible_become_method). Use {defaults.playbook}."
        )
    try:
        port = int(value(*PORT) or 0)
    except ValueError:
        raise InventoryProblem(f"ansible_port is {value(*PORT)!r}, which is no port. Correct the inventory.") from None
    try:
        planned = settings.of_variables({f"unshim_{name}": value(f"unshim_{name}") for name in settings.names()})
    except (cattrs.BaseValidationError, TypeError, ValueError):
        raise InventoryProblem(
            "an unshim_... variable has the wrong type; docs/settings.md lists them. Correct the inventory."
        ) from None
    options, config_file = _ssh_options(" ".join(str(value(name) or "") for name in SSH_ARGUMENTS))
    checks = value(*CHECK_HOST_KEY)
    strict = "" if (defaults.check_host_key if checks is None else _truth(checks)) else "no"
    return Target(
        node=node,
        connection=connection,
        address=str(value(*HOST) or node),
        port=port,
        user=str(value(*USER) or defaults.user),
        password=str(value(*PASSWORD) or defaults.password),
        key=str(value(*KEY) or defaults.key),
        key_password=str(value(*KEY_PASSWORD) or ""),
        host_key=dict(options).get("stricthostkeychecking", strict),
        ssh_options=tuple(option for option in options if option[0] != "stricthostkeychecking"),
        ssh_config=config_file,
        become=BECOME_PROGRAMS[method] if wants_root else "",
        become_password=str(value(*BECOME_PASSWORD) or defaults.become_password),
        settings=planned,
    )


def _reader(node: str, variables: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that gives the first variable set of some names, with templates in it resolved; None if none is."""
    environment = SandboxedEnvironment(undefined=StrictUndefined)
    context = {**variables, "inventory_hostname": node, "inventory_hostname_short": node.split(".")[0]}

    def resolved(name: str, found: Any) -> Any:
        if isinstance(found, dict) and "__ansible_vault" in found:
            raise InventoryProblem(
                f"{name} is encrypted. Name the file with the vault's password in ANSIBLE_VAULT_PASSWORD_FILE."
            )
        for _ in range(5):  # a template may lead to one
            if not isinstance(found, str) or "{{" not in found and "{%" not in found:
                return found
            try:
                found = environment.from_string(found).render(context)
            except TemplateError as error:
                raise InventoryProblem(
                    f"{name} is a template that only Ansible can resolve ({error}). Use playbooks/audit.yml, or write the value."
                ) from None
        raise InventoryProblem(f"{name} is a template that leads to itself. Correct the inventory.")

    def value(*names: str) -> Any:
        for name in names:
            if variables.get(name) not in (None, ""):
                return resolved(name, variables[name])
        return None

    return value


def _truth(value: Any) -> bool:
    return value.strip().lower() in ("true", "yes", "on", "1", "y", "t") if isinstance(value, str) else bool(value)


def _ssh_options(arguments: str) -> tuple[list[tuple[str, str]], str]:
    """Return ssh's options (in lower case, the first of a name) and configuration file from its command line."""
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise InventoryProblem(f"ansible_ssh_common_args cannot be read: {error}. Correct the inventory.") from None
    options: dict[str, str] = {}
    config_file = ""
    while words:
        word = words.pop(0)
        if word[:2] not in ("-o", "-J", "-F", "-i"):  # the others do not change whether a node is reached
            continue
        given = word[2:] or (words.pop(0) if words else "")
        if word[:2] == "-o":
            name, _, text = given.replace(" ", "=", 1).partition("=") if "=" not in given else given.partition("=")
            options.setdefault(name.strip().lower(), text.strip())
        elif word[:2] == "-J":
            options.setdefault("proxyjump", given)
        elif word[:2] == "-i":
            options.setdefault("identityfile", given)
        else:
            config_file = given
    return list(options.items()), config_file
