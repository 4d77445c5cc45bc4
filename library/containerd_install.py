#!/usr/bin/python
"""Ansible module: install containerd's packages and nothing else."""

DOCUMENTATION = r"""
---
module: containerd_install
short_description: Install containerd, and upgrade or remove nothing unasked
description:
  - Installs packages after simulating the transaction. If it would remove a package, or upgrade or downgrade one that
    was not asked for, the module refuses and names them.
  - A package that is installed stays in its version, unless another version is asked for.
  - Configuration files that exist are kept.
  - Notes the versions before and after in the node's journal.
author: unshim contributors
options:
  packages:
    description:
      - The packages; the plan's C(packages) can be given as they are.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the package.
        type: str
        required: true
      version:
        description: Exact version; empty means any, and the package manager's candidate if none is installed.
        type: str
        default: ''
        aliases: [after]
      before:
        description: The version the planner saw. Not used.
        type: str
        default: ''
      stage:
        description: The plan's stage. Not used.
        type: str
        default: prepare
      reason:
        description: Why the plan holds the package. Not used.
        type: str
        default: ''
  hold:
    description:
      - Put the packages on hold, so that only an operator upgrades them.
    type: bool
    default: false
  method:
    description:
      - Where containerd comes from.
    type: str
    choices: [package]
    default: package
notes:
  - Supports apt so far.
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.journal
attributes:
  check_mode:
    details: The transaction is simulated; package lists that lack the version are not updated then.
"""

EXAMPLES = r"""
- name: Install what the plan says
  containerd_install:
    packages: "{{ ansible_facts.runtime_plan.packages }}"

- name: Install and hold a certain version
  containerd_install:
    packages:
      - name: containerd.io
        version: 1.6.33-1
    hold: true
"""

RETURN = r"""
packages:
  description: Version of each package before and after, empty where it is not installed.
  returned: success
  type: dict
  sample: {"containerd": {"before": "", "after": "1.6.20~ds1-1+deb12u1"}}
also_installed:
  description: New packages the asked ones depend on, with their versions.
  returned: success
  type: dict
  sample: {"runc": "1.1.5+ds1-1+deb12u1"}
completed:
  description: Packages whose interrupted installation was completed first.
  returned: success
  type: dict
  sample: {"runc": "half configured"}
held:
  description: Packages that were put on hold.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import containerd, module_run, package_manager_apt, systemd
from ansible.module_utils.unshim_node.errors import NodeError

ARGUMENTS = {
    "packages": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "default": "", "aliases": ["after"]},
            "before": {"type": "str", "default": ""},
            "stage": {"type": "str", "default": "prepare"},
            "reason": {"type": "str", "default": ""},
        },
    },
    "hold": {"type": "bool", "default": False},
    "method": {"type": "str", "choices": ["package"], "default": "package"},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def package_manager():
    """Return the module that handles this node's packages."""
    if package_manager_apt.is_here():
        return package_manager_apt
    raise NodeError(
        "Only apt is supported so far, and this node has no apt-get. Install containerd by hand and run again: an "
        "installed one is taken as it is."
    )


def wanted_packages(asked, installed):
    """Return what has to be installed, name -> version or "". What is installed stays unless its version is wrong."""
    return {
        name: version for name, version in asked.items() if not installed[name] or version not in ("", installed[name])
    }


def refuse_side_effects(transaction, wanted):
    """Raise if the transaction touches an installed package that was not asked for."""
    unasked = {name: versions for name, versions in transaction.changed.items() if name not in wanted}
    if not transaction.removed and not unasked:
        return
    effects = ["remove %s" % name for name in sorted(transaction.removed)]
    effects += ["change %s from %s to %s" % (name, old, new) for name, (old, new) in sorted(unasked.items())]
    raise NodeError(
        "Installing %s would also %s; nothing was changed. Add those packages to `packages` with the version you want, "
        "or choose another version of containerd." % (", ".join(sorted(wanted)), ", ".join(effects)),
        {"removed": sorted(transaction.removed), "unasked": {name: list(pair) for name, pair in unasked.items()}},
    )


def refuse_held(manager, wanted, before):
    """Raise if an operator holds a package in another version than the one asked for."""
    for name in manager.held([name for name in wanted if before[name]]):
        raise NodeError(
            "%s is on hold in version %s on this node, but %s is asked for; nothing was changed. Release it "
            "(`apt-mark unhold %s`) or ask for the held version." % (name, before[name], wanted[name], name)
        )


def simulate(module, manager, wanted):
    """Return the transaction that installs ``wanted``, with the package lists updated if they do not know it.

    In check mode stale lists stay, and a transaction with only ``wanted`` in it stands for the unknown one.
    """
    unknown = [name for name in sorted(wanted) if not manager.available(name, wanted[name])]
    if unknown and module.check_mode:
        module.warn(
            "The package lists of this node do not know %s; they would be updated first, and what else would be "
            "installed is not known yet." % ", ".join("%s %s" % (name, wanted[name]) for name in unknown)
        )
        return manager.Transaction(dict(wanted), {}, [])
    if unknown:
        manager.update_lists()
    transaction = manager.simulate(wanted)
    refuse_side_effects(transaction, wanted)
    return transaction


def install(manager, journal, wanted, also, before):
    """Install ``wanted``, with the versions before and after in the journal."""
    unit = systemd.show(containerd.UNIT)
    # Before the package starts it: a rollback returns the unit to what it was.
    journal.remember_unit(containerd.UNIT, unit["ActiveState"], unit["UnitFileState"])
    for name in list(wanted) + list(also):
        journal.remember_package(name, before.get(name, ""), before.get(name, ""))
    with journal.step("install %s" % ", ".join(sorted(wanted)), "prepare", "the packages may stay"):
        manager.install(wanted)
    after = manager.installed(list(wanted) + list(also))
    for name, version in after.items():
        journal.remember_package(name, before.get(name, ""), version)
    return after


def act(module):
    asked = {package["name"]: package["version"] for package in module.params["packages"]}
    if not asked:
        return {"changed": False, "packages": {}, "also_installed": {}, "completed": {}, "held": []}
    manager = package_manager()
    journal = module_run.open_journal(module)
    before = manager.installed(sorted(asked))
    now = dict(before)
    wanted = wanted_packages(asked, before)
    refuse_held(manager, wanted, before)
    finished = manager.unfinished()
    if finished and not module.check_mode:
        journal.lock()
        manager.finish()
    also = {}
    if wanted:
        transaction = simulate(module, manager, wanted)
        also = {name: version for name, version in transaction.installed.items() if name not in wanted}
        now.update({name: version for name, version in transaction.installed.items() if name in wanted})
        now.update({name: versions[1] for name, versions in transaction.changed.items()})
        if not module.check_mode:
            after = install(manager, journal, wanted, also, before)
            now.update({name: after[name] for name in wanted})
            also = {name: after[name] for name in also}
    to_hold = []
    if module.params["hold"]:
        to_hold = sorted(set(asked) - set(manager.held(sorted(asked))))
        if to_hold and not module.check_mode:
            journal.note("held_packages", sorted(set(journal.get("held_packages", []) + to_hold)))
            manager.hold(to_hold)
    return {
        "changed": bool(wanted or to_hold or finished),
        "packages": {name: {"before": before[name], "after": now[name]} for name in sorted(asked)},
        "also_installed": also,
        "completed": finished,
        "held": to_hold,
        "diff": {
            "before": _lines(before),
            "after": _lines(dict(now, **also)),
            "before_header": "packages",
            "after_header": "packages",
        },
    }


def _lines(versions):
    return "".join("%s %s\n" % (name, version) for name, version in sorted(versions.items()) if version)


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
