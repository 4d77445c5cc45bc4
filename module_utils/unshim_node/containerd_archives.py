"""Release archives for ``containerd_install``: fetched, checked, unpacked and taken into use, or nothing of it."""

import contextlib
import os
import shutil
import tempfile

from . import containerd, place, release_archive, systemd
from .errors import NodeError

PENDING = "restart_pending"  # the journal's note by which containerd_config, which comes next, restarts containerd


def install(module, journal, fetch):
    """Unpack and link the archives and return what the module says of them. All are checked before any is used."""
    archives = module.params["archives"]
    outcome = {"archives": [], "links": {}, "plugins": []}
    if not module.check_mode:
        release_archive.remove_unfinished()
    if not archives:
        return outcome
    if place.away():
        raise NodeError(
            "Release archives are unpacked by Python; nothing was changed. Use provision.yml for this node."
        )
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
        unpack(journal, missing, fetch)
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


def unpack(journal, missing, fetch):
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
            got.append((archive, get_archive(archive, work, fetch)))
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


def get_archive(archive, work, fetch):
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
    response = fetch(archive["url"])
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
