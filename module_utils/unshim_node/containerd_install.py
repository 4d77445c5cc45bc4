"""The work of the module ``containerd_install``: packages, the repository they may come from, and release archives."""

import re
from urllib.parse import unquote

from . import (
    containerd,
    containerd_archives,
    docker_repository,
    files,
    module_run,
    package_manager_apt,
    package_manager_dnf,
    package_manager_zypper,
    release_archive,
    systemd,
)
from .errors import NodeError

KEY_LIMIT = 1 << 20  # bytes
HELD = "held_packages"  # the journal's note of packages that were not on hold before
# In this order: on SUSE dnf can be installed beside zypper, which is the system's own.
MANAGERS = (package_manager_apt, package_manager_zypper, package_manager_dnf)


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


def install_packages(module, journal, fetch):
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
        outcome["repository"], undo = add_repository(module, manager, journal, fetch)
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


def add_repository(module, manager, journal, fetch):
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
    key = get_key(fetch, wanted)
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


def get_key(fetch, wanted):
    """Return the key: from the controller, from a file of the node (file://), or fetched."""
    if wanted["key_content"]:
        return wanted["key_content"].encode("utf-8")
    if wanted["key"].startswith("file://"):
        data = files.read_bytes(wanted["key"][len("file://") :])
        if data is None:
            raise NodeError("%s, the key of Docker's repository, is not there; nothing was changed." % wanted["key"])
        return data
    return fetch(wanted["key"]).read(KEY_LIMIT)


def hide_passwords(module):
    """Keep the passwords in addresses, such as a mirror's, out of whatever this module or a program says."""
    repository = module.params["repository"] or {}
    urls = [repository.get("url"), repository.get("key")] + [archive["url"] for archive in module.params["archives"]]
    for login in re.findall(r"(?m)^[A-Za-z][A-Za-z0-9+.-]*://([^/\n]+)@", "\n".join(url for url in urls if url)):
        password = login.partition(":")[2] or login  # a token may stand alone
        module.no_log_values.update((password, unquote(password)))


def act(module, fetch):
    """Do what the module is asked for and return its result.

    Args:
        fetch: returns the open response to a request for a URL, from the node.
    """
    hide_passwords(module)
    journal = module_run.open_journal(module)
    if module.params["state"] == "restored":
        return restored(module, journal)
    outcome = install_packages(module, journal, fetch)
    archives = containerd_archives.install(module, journal, fetch)
    changed = outcome["changed"] or archives.get("changed", False)
    if archives["links"] or archives["archives"]:
        before = "".join(
            "%s -> %s\n" % (path, one["before"]) for path, one in archives["links"].items() if one["before"]
        )
        after = "".join("%s -> %s\n" % (path, one["after"]) for path, one in archives["links"].items())
        of_links = {"before": before, "after": after, "before_header": "links", "after_header": "links"}
        outcome["diff"] = [outcome["diff"], of_links] if "diff" in outcome else of_links
    return dict(outcome, **dict(archives, changed=changed))
