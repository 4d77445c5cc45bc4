#!/usr/bin/python
"""Ansible module: install containerd's packages and nothing else."""

DOCUMENTATION = r"""
---
module: containerd_install
short_description: Install containerd, and upgrade or remove nothing unasked
description:
  - Installs packages after simulating the transaction. If it would remove or replace a package, or upgrade or downgrade one
    that was not asked for, the module refuses and names them.
  - A package that is installed stays in its version, unless another version is asked for.
  - Configuration files that exist are kept.
  - Gives the node Docker's package repository first, if O(repository) is given and the node does not have it. Its key is
    checked by its fingerprint, and bound to this repository only. If the installation is refused, it is taken away again.
  - Unpacks release archives of containerd, runc, the CNI plugins and crictl to directories of their own below C(/opt/unshim),
    after checking the SHA-256 of every one of them, and links the programs into C(/usr/local/bin). The versions used before
    stay beside them. CNI plugins are copied to C(/opt/cni/bin) where they are missing. A node without a
    C(containerd.service) gets one.
  - Notes the versions before and after in the node's journal.
author: unshim contributors
options:
  state:
    description:
      - V(present) installs.
      - V(restored) takes off the holds that O(hold) has put on packages; the packages stay, for Docker may use them, too.
    type: str
    choices: [present, restored]
    default: present
  packages:
    description:
      - The packages; the plan's C(packages) can be given as they are.
    type: list
    elements: dict
    default: []
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
      - Keep the packages in their version, so that only an operator upgrades them; C(apt-mark hold), C(dnf versionlock) or
        C(zypper addlock). Where dnf lacks its plugin versionlock, a warning says so.
    type: bool
    default: false
  repository:
    description:
      - Docker's package repository; the plan's C(repository) can be given as it is.
    type: dict
    suboptions:
      url:
        description: Address of the repository. A node that names it in a file of its own keeps that.
        type: str
        required: true
      path:
        description: The file that will name it.
        type: path
        required: true
      content:
        description: What that file will say.
        type: str
        required: true
      key_path:
        description: The file the key is kept in.
        type: path
        required: true
      key:
        description: Where the key is; a URL that the node fetches, or a file on the controller.
        type: str
        required: true
      key_content:
        description: The key itself. Set by the action plugin for a file on the controller.
        type: str
      fingerprint:
        description: Fingerprint the key must have; empty means any.
        type: str
        default: ''
  archives:
    description:
      - Release archives; the plan's C(archives) can be given as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it holds.
        type: str
        choices: [containerd, runc, cni, crictl]
        required: true
      version:
        description: Its version, without a leading v.
        type: str
        required: true
      sha256:
        description: SHA-256 of the file. Another one is refused.
        type: str
        required: true
      url:
        description: Where the node fetches it.
        type: str
        default: ''
      src:
        description: The file on the controller, copied to the node and removed there afterwards.
        type: str
        default: ''
      path:
        description: The file on the node.
        type: str
        default: ''
notes:
  - Supports apt, dnf 4, dnf 5, yum 3 and zypper. yum 3 was not tried on a real system.
  - Packages, repository and archives stay when a node is rolled back.
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.journal
attributes:
  check_mode:
    details: The transaction is simulated; package lists that lack the version are not updated then, and archives are not
      fetched.
"""

EXAMPLES = r"""
- name: Install what the plan says
  containerd_install:
    packages: "{{ ansible_facts.runtime_plan.packages }}"
    repository: "{{ ansible_facts.runtime_plan.repository }}"
    archives: "{{ ansible_facts.runtime_plan.archives }}"

- name: Install and hold a certain version
  containerd_install:
    packages:
      - name: containerd.io
        version: 1.6.33-1
    hold: true

- name: Install a release archive that is on the controller
  containerd_install:
    archives:
      - name: containerd
        version: 2.1.9
        src: files/containerd-2.1.9-linux-amd64.tar.gz
        sha256: 4bd4ad7b1b6dcd4e0a0e1c2a8e39a4c5dfdb0e35ff0ad9e3a6b2c7a1b0c5d9e8
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
  description: Packages that were put on hold; with O(state=restored), those whose hold was taken off.
  returned: success
  type: list
  elements: str
  sample: []
repository:
  description: The file that names the repository; empty if the node has none of it or had it already.
  returned: success
  type: str
  sample: /etc/apt/sources.list.d/docker.sources
archives:
  description: Directories that archives were unpacked to.
  returned: success
  type: list
  elements: str
  sample: [/opt/unshim/containerd-2.1.9]
links:
  description: Links that were changed, each with what it leads to before and after.
  returned: success
  type: dict
  sample: {"/usr/local/bin/containerd": {"before": "", "after": "/opt/unshim/containerd-2.1.9/bin/containerd"}}
plugins:
  description: CNI plugins that were copied.
  returned: success
  type: list
  elements: str
  sample: [bridge, host-local, loopback, portmap]
"""

import contextlib
import os
import re
import shutil
import tempfile
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import (
    containerd,
    docker_repository,
    files,
    module_run,
    package_manager_apt,
    package_manager_dnf,
    package_manager_zypper,
    release_archive,
    systemd,
)
from ansible.module_utils.unshim_node.errors import NodeError
from ansible.module_utils.urls import fetch_url

FETCH_TIMEOUT = 60  # s without a byte
KEY_LIMIT = 1 << 20  # bytes
PENDING = "restart_pending"  # the journal's note by which containerd_config, which comes next, restarts containerd
HELD = "held_packages"  # the journal's note of packages that were not on hold before
# In this order: on SUSE dnf can be installed beside zypper, which is the system's own.
MANAGERS = (package_manager_apt, package_manager_zypper, package_manager_dnf)

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
    "packages": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "default": "", "aliases": ["after"]},
            "before": {"type": "str", "default": ""},
            "stage": {"type": "str", "default": "prepare"},
            "reason": {"type": "str", "default": ""},
        },
    },
    "hold": {"type": "bool", "default": False},
    "repository": {
        "type": "dict",
        "options": {
            "url": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "key_path": {"type": "path", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "key_content": {"type": "str", "no_log": False},
            "fingerprint": {"type": "str", "default": ""},
        },
    },
    "archives": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True, "choices": ["containerd", "runc", "cni", "crictl"]},
            "version": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "url": {"type": "str", "default": ""},
            "src": {"type": "str", "default": ""},
            "path": {"type": "str", "default": ""},
        },
    },
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


# Packages


def package_manager():
    """Return the module that handles this node's packages."""
    for manager in MANAGERS:
        if manager.is_here():
            return manager
    raise NodeError(
        "This node has none of apt-get, dnf, yum and zypper. Install containerd by hand and run again: an installed one is "
        "taken as it is. Or set unshim_containerd_method to archive."
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
        "Installing %s would also %s; nothing was changed. %s"
        % (
            ", ".join(sorted(wanted)),
            ", ".join(effects),
            "Choose another package or version of containerd, or remove what stands in its way if nothing needs it."
            if transaction.removed
            else "Add those packages to `packages` with the version you want, or choose another version of containerd.",
        ),
        {"removed": sorted(transaction.removed), "unasked": {name: list(pair) for name, pair in unasked.items()}},
    )


def refuse_held(manager, wanted, before):
    """Raise if an operator holds a package in another version than the one asked for."""
    for name in manager.held([name for name in wanted if before[name]]):
        raise NodeError(
            "%s is on hold in version %s on this node, but %s is asked for; nothing was changed. Release it "
            "(`%s`) or ask for the held version." % (name, before[name], wanted[name], manager.RELEASE % name)
        )


def simulate(module, manager, wanted):
    """Return the transaction that installs ``wanted``, with the package lists updated if they do not know it.

    In check mode stale lists stay, and a transaction with only ``wanted`` in it stands for the unknown one.
    """
    unknown = [name for name in sorted(wanted) if not manager.available(name, wanted[name])]
    if unknown and module.check_mode:
        module.warn(
            "The package lists of this node do not know %s; they would be updated first, and what else would be "
            "installed is not known yet." % ", ".join(("%s %s" % (name, wanted[name])).strip() for name in unknown)
        )
        return manager.Transaction(dict(wanted), {}, [])
    if unknown:
        manager.update_lists()
        unknown = [name for name in unknown if not manager.available(name, wanted[name])]
    if unknown:
        raise NodeError(
            "No repository of this node has %s; nothing was changed. Make one with it available, or set "
            "unshim_containerd_method to docker_repo or archive."
            % ", ".join(("%s %s" % (name, wanted[name])).strip() for name in unknown)
        )
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
        download_and_install(manager, wanted)
    after = manager.installed(list(wanted) + list(also))
    for name, version in after.items():
        journal.remember_package(name, before.get(name, ""), version)
    return after


def download_and_install(manager, wanted):
    """Install ``wanted``; with the package lists read anew if they name files that are gone from the server."""
    try:
        manager.install(wanted)
        return
    except NodeError as error:
        if not manager.is_download_failure(error.message):
            raise
        failure = error
    try:
        manager.update_lists()
        unknown = [name for name in sorted(wanted) if not manager.available(name, wanted[name])]
        if not unknown:
            refuse_side_effects(manager.simulate(wanted), wanted)
            manager.install(wanted)
            return
    except NodeError as error:
        failure = error
    raise NodeError(
        "%s\nNothing was installed, also with package lists read anew. See to it that this node reaches its package sources and "
        "that they have the files, and run again." % failure.message,
        failure.details,
    )


def install_packages(module, journal):
    """Install the packages and return what the module says of them."""
    asked = {package["name"]: package["version"] for package in module.params["packages"]}
    outcome = {"changed": False, "packages": {}, "also_installed": {}, "completed": {}, "held": [], "repository": ""}
    if not asked:
        return outcome
    manager = package_manager()
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
        outcome["repository"], undo = add_repository(module, manager, journal)
        try:
            transaction = simulate(module, manager, wanted)
        except BaseException:
            undo()
            raise
        also = {name: version for name, version in transaction.installed.items() if name not in wanted}
        now.update({name: version for name, version in transaction.installed.items() if name in wanted})
        now.update({name: versions[1] for name, versions in transaction.changed.items()})
        if not module.check_mode:
            after = install(manager, journal, wanted, also, before)
            now.update({name: after[name] for name in wanted})
            also = {name: after[name] for name in also}
    outcome.update(
        changed=bool(wanted or finished),
        packages={name: {"before": before[name], "after": now[name]} for name in sorted(asked)},
        also_installed=also,
        completed=finished,
        diff={
            "before": _lines(before),
            "after": _lines(dict(now, **also)),
            "before_header": "packages",
            "after_header": "packages",
        },
    )
    if module.params["hold"]:
        outcome["held"] = hold(module, manager, journal, sorted(asked))
        outcome["changed"] = outcome["changed"] or bool(outcome["held"])
    return outcome


def hold(module, manager, journal, names):
    """Keep the packages in their versions, and return those that were not kept so far."""
    to_hold = sorted(set(names) - set(manager.held(names)))
    why_not = manager.cannot_hold() if to_hold else ""
    if why_not:
        module.warn(
            "%s cannot be kept in the version asked for: %s. An upgrade of the node would replace it."
            % (", ".join(to_hold), why_not)
        )
        return []
    if to_hold and not module.check_mode:
        journal.note(HELD, sorted(set(journal.get(HELD, []) + to_hold)))
        manager.hold(to_hold)
    return to_hold


def restored(module, journal):
    """Take off the holds of ours and return the module's result."""
    if not module.check_mode:
        release_archive.remove_unfinished()
    noted = journal.get(HELD, [])
    manager = package_manager() if noted else None
    names = manager.held(noted) if manager else []
    if names and not module.check_mode:
        with journal.step("release %s" % ", ".join(names), "rollback"):
            manager.release(names)
    return {
        "changed": bool(names),
        "packages": {},
        "also_installed": {},
        "completed": {},
        "held": names,
        "repository": "",
        "archives": [],
        "links": {},
        "plugins": [],
    }


def _lines(versions):
    return "".join("%s %s\n" % (name, version) for name, version in sorted(versions.items()) if version)


# Docker's repository


def add_repository(module, manager, journal):
    """Give the node the repository, if it has none such; return its file, and what takes it away again."""
    wanted = module.params["repository"]

    def nothing():
        pass

    if not wanted or docker_repository.existing(wanted["url"], manager.NAME):
        return "", nothing
    content = wanted["content"].encode("utf-8")
    docker_repository.conflict(wanted["path"], content)
    if module.check_mode:
        return wanted["path"], nothing
    key = get_key(module, wanted)
    docker_repository.check_key(key, wanted["fingerprint"], wanted["key"])
    key = docker_repository.armoured(key)
    docker_repository.key_conflict(wanted["key_path"], key)
    originals = {path: files.read_bytes(path) for path in (wanted["key_path"], wanted["path"])}

    def undo():
        for path, data in originals.items():
            if data is None:
                files.remove(path)
            else:
                files.write_atomically(path, data, 0o644, 0, 0)

    by_hand = "rm %s %s, or let it stay" % (wanted["path"], wanted["key_path"])
    with journal.step("add the repository in %s" % wanted["path"], "prepare", by_hand):
        try:
            files.write_atomically(wanted["key_path"], key, 0o644, 0, 0)
            files.write_atomically(wanted["path"], content, 0o644, 0, 0)
            manager.update_lists()
        except BaseException:
            undo()
            raise
    return wanted["path"], undo


def get_key(module, wanted):
    """Return the key: from the controller, from a file of the node (file://), or fetched."""
    if wanted["key_content"]:
        return wanted["key_content"].encode("utf-8")
    if wanted["key"].startswith("file://"):
        data = files.read_bytes(wanted["key"][len("file://") :])
        if data is None:
            raise NodeError("%s, the key of Docker's repository, is not there; nothing was changed." % wanted["key"])
        return data
    return fetch(module, wanted["key"]).read(KEY_LIMIT)


def fetch(module, url):
    """Return the open response to a request for ``url``."""
    response, info = fetch_url(module, url, timeout=FETCH_TIMEOUT)
    if info["status"] != 200 or response is None:
        raise NodeError(
            "%s cannot be fetched: %s. Nothing was changed. Check the address, and that this node reaches it (through its "
            "proxy, if it has one)." % (url, info["msg"])
        )
    return response


# Release archives


def install_archives(module, journal):
    """Unpack and link the archives and return what the module says of them. All are checked before any is used."""
    archives = module.params["archives"]
    outcome = {"archives": [], "links": {}, "plugins": []}
    if not module.check_mode:
        release_archive.remove_unfinished()
    if not archives:
        return outcome
    os.umask(0o022)
    unit = systemd.show(containerd.UNIT)
    brings_containerd = any(archive["name"] == "containerd" for archive in archives)
    if brings_containerd:
        release_archive.check_unit(unit)
        if unit["ActiveState"] == "active" and unit["KillMode"] not in ("process", "none"):
            raise NodeError(
                "containerd.service has KillMode=%s, so a restart of it would kill every container on this node; nothing was "
                "changed. Run `systemctl edit containerd`, add [Service] and KillMode=process, and run again."
                % unit["KillMode"]
            )
    for archive in archives:
        release_archive.check(archive)
        release_archive.link_changes(archive)
    missing = [archive for archive in archives if not release_archive.record(archive)]
    if not module.check_mode:
        unpack(module, journal, missing)
    links, plugins = {}, []
    # containerd's come last, when runc is there.
    for archive in sorted(archives, key=lambda one: one["name"] == "containerd"):
        links.update(release_archive.link_changes(archive))
        plugins += release_archive.cni_changes(archive)
    needs_unit = brings_containerd and unit["LoadState"] == "not-found"
    outcome.update(
        archives=[release_archive.directory(archive) for archive in missing],
        links={path: {"before": old, "after": new} for path, (old, new) in links.items()},
        plugins=plugins,
        changed=bool(missing or links or plugins or needs_unit),
    )
    if module.check_mode or not outcome["changed"]:
        return outcome
    journal.remember_unit(containerd.UNIT, unit["ActiveState"], unit["UnitFileState"])
    with journal.step("use %s" % _names(archives), "prepare", by_hand(links)):
        if needs_unit:
            release_archive.write_unit()
        for archive in archives:
            if archive["name"] == "cni":
                release_archive.copy_plugins(archive, plugins)
        use(links, unit, journal)
    return outcome


def unpack(module, journal, missing):
    """Get and check every archive, unpack every one, and only then give each its directory."""
    if not missing:
        return
    is_new = not os.path.isdir(release_archive.OPT)
    os.makedirs(release_archive.OPT, 0o755, exist_ok=True)
    # Beside what is unpacked: /tmp may be small, or of memory.
    work = tempfile.mkdtemp(prefix=".archives-", dir=release_archive.OPT)
    got, unpacked = [], []
    try:
        for archive in missing:
            got.append((archive, get_archive(module, archive, work)))
            release_archive.verify(*got[-1])
        for archive, path in got:
            unpacked.append((archive, release_archive.unpack(archive, path)))
        by_hand = "the directories in %s may stay" % release_archive.OPT
        with journal.step("unpack %s" % _names(missing), "prepare", by_hand):
            for archive, directory in unpacked:
                release_archive.settle(archive, directory)
    finally:
        for directory in [work] + [directory for _, directory in unpacked]:
            shutil.rmtree(directory, ignore_errors=True)
        if is_new:
            with contextlib.suppress(OSError):
                os.rmdir(release_archive.OPT)  # refused, and so nothing is in it


def get_archive(module, archive, work):
    """Return the path of an archive on the node."""
    if archive["url"].startswith("file://"):
        archive = dict(archive, path=archive["url"][len("file://") :], url="")
    if archive["path"]:
        if not os.path.isfile(archive["path"]):
            raise NodeError(
                "%s, the archive of %s %s, is not on this node; nothing was changed."
                % (archive["path"], archive["name"], archive["version"])
            )
        # It may lie where others can write, as in /tmp: what is verified has to be what is unpacked.
        path = os.path.join(work, "%s-%s" % (archive["name"], archive["version"]))
        shutil.copyfile(archive["path"], path)
        return path
    if not archive["url"]:
        raise NodeError(
            "The archive of %s %s has neither url nor path; src works through Ansible's action of this module only."
            % (archive["name"], archive["version"])
        )
    path = os.path.join(work, "%s-%s" % (archive["name"], archive["version"]))
    response = fetch(module, archive["url"])
    with open(path, "wb") as stream:
        shutil.copyfileobj(response, stream, release_archive.CHUNK)
    return path


def use(links, unit, journal):
    """Link the new versions in. A containerd that runs is restarted; if it does not come up again, all goes back."""
    restart = unit["ActiveState"] == "active" and any(os.path.basename(path) == "containerd" for path in links)
    if restart:
        journal.note(PENDING, True)  # after a crash before the restart the links say nothing of it any more
    release_archive.set_links(links)
    if not restart:
        return
    try:
        systemd.restart(containerd.UNIT)
    except NodeError as error:
        release_archive.unset_links(links)
        systemd.restart(containerd.UNIT)
        raise NodeError(
            "The new containerd did not start, and the one before it runs again: %s" % error.message, error.details
        ) from None
    journal.note(PENDING, None)


def by_hand(links):
    """Return how to go back to what was linked before."""
    lines = ["ln -sfn %s %s" % (old, path) if old else "rm -f %s" % path for path, (old, _) in sorted(links.items())]
    return "; ".join(lines) or "nothing to do"


def _names(archives):
    return ", ".join("%s %s" % (archive["name"], archive["version"]) for archive in archives)


def hide_passwords(module):
    """Keep the passwords in addresses, such as a mirror's, out of whatever this module or a program says."""
    repository = module.params["repository"] or {}
    urls = [repository.get("url"), repository.get("key")] + [archive["url"] for archive in module.params["archives"]]
    for login in re.findall(r"(?m)^[A-Za-z][A-Za-z0-9+.-]*://([^/\n]+)@", "\n".join(url for url in urls if url)):
        password = login.partition(":")[2] or login  # a token may stand alone
        module.no_log_values.update((password, unquote(password)))


def act(module):
    hide_passwords(module)
    journal = module_run.open_journal(module)
    if module.params["state"] == "restored":
        return restored(module, journal)
    outcome = install_packages(module, journal)
    archives = install_archives(module, journal)
    changed = outcome["changed"] or archives.get("changed", False)
    if archives["links"] or archives["archives"]:
        before = "".join(
            "%s -> %s\n" % (path, one["before"]) for path, one in archives["links"].items() if one["before"]
        )
        after = "".join("%s -> %s\n" % (path, one["after"]) for path, one in archives["links"].items())
        of_links = {"before": before, "after": after, "before_header": "links", "after_header": "links"}
        outcome["diff"] = [outcome["diff"], of_links] if "diff" in outcome else of_links
    return dict(outcome, **dict(archives, changed=changed))


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
