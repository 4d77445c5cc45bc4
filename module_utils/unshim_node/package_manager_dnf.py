"""Packages of the RHEL family, Fedora and Amazon Linux, by dnf 4, dnf 5 or yum 3. The functions: package_manager.py.

Every answer but that of ``update_lists`` comes from the metadata that is there: the transaction that is carried out is the
one that was simulated.
"""

import os
import re
from typing import Dict, List

from . import commands, files
from .errors import NodeError
from .package_manager import Transaction, matching, rpm_installed, run_locked, without_epoch_0

NAME = "dnf"
RELEASE = "dnf versionlock delete %s"
# dnf 4 with exit_on_lock: "metadata already locked by 123"; yum 3: "Another app is currently holding the yum lock";
# dnf 5: "Failed to obtain ... lock".
LOCKED = re.compile(
    r"(?i)waiting for process with pid|holding the yum lock|already locked by|failed to obtain.*lock|exit_on_lock"
)
VERSIONLOCK_LISTS = ("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list")
VERSIONLOCK_DNF5 = "/etc/dnf/versionlock.toml"

# The headings of a transaction, in dnf 4, dnf 5 and yum 3.
INSTALLED = re.compile(r"Installing\b.*:$")
CHANGED = re.compile(r"(Upgrading|Updating|Downgrading|Reinstalling)\b.*:$")
REMOVED = re.compile(r"Removing\b.*:$")


def is_here() -> bool:
    return bool(_program()) and commands.find("rpm") is not None


def installed(names: List[str]) -> Dict[str, str]:
    """Return the installed version of each of ``names``, "" if it is not installed."""
    return rpm_installed(names)


def unfinished() -> Dict[str, str]:
    """Return {}: RPM has no half-installed packages that a command could complete."""
    return {}


def finish() -> None:
    """Do nothing: see :func:`unfinished`."""


def available(name: str, version: str) -> bool:
    """Return whether the metadata that is there knows ``name`` in ``version`` ("": in any)."""
    if _is_yum():
        out = _cached(["list", "available", name, "--showduplicates"]).out
        # Long names push their version to the next line.
        words = out.split()
        found = [words[i + 1] for i, word in enumerate(words[:-1]) if word.rpartition(".")[0] == name]
    else:
        form = "found %{name} %{evr}\\n"
        out = _cached(["repoquery", "--qf", form, name]).out
        found = [line.split()[2] for line in out.splitlines() if line.split()[:2] == ["found", name]]
    return version in [without_epoch_0(one) for one in found] if version else bool(found)


def update_lists() -> None:
    """Read the repositories anew."""
    _run(_lock_options() + ["makecache"] + (["fast"] if _is_yum() else []))


def simulate(wanted: Dict[str, str]) -> Transaction:
    """Return what installing ``wanted`` (name -> version or "") would do.

    Raises:
        NodeError: it cannot be done, in the program's words.
    """
    argv = [_program(), "-C", "--assumeno"] + _options() + ["install"] + _specs(wanted)
    result = run_locked(argv, _waits, _said, good=(0, 1))
    if "Transaction Summary" not in result.out:
        if result.rc == 1 or "Nothing to do" not in result.out:
            said = _said(result).rstrip(".")
            check = "the node's repositories (`%s repolist`)" % _name()
            if re.search("exclude filtering|excluded by versionlock", said):
                check = (
                    "what is locked or excluded there (`%s versionlock list`, exclude= in its configuration)" % _name()
                )
            raise NodeError(
                "%s cannot install %s: %s. Nothing was changed. Check %s."
                % (_name(), " ".join(_specs(wanted)), said, check)
            )
        if _is_yum() and any(wanted.values()):  # install never goes back to an older version there
            result = commands.run(argv[: -1 - len(wanted)] + ["downgrade"] + _specs(wanted), timeout=120, check=False)
    return complete(parse_transaction(result.out), wanted, installed)


def complete(transaction: Transaction, wanted, look_up) -> Transaction:
    """Return ``transaction`` with the versions installed now, which the table does not show.

    Raises:
        NodeError: a package of another name would be installed in place of a wanted one, because it obsoletes it.
    """
    before = look_up(sorted(set(transaction.changed) | set(wanted)))
    other = [
        name
        for name in sorted(wanted)
        if name not in transaction.installed and name not in transaction.changed and not before[name]
    ]
    if other:
        raise NodeError(
            "%s would not install %s, but %s in its place; nothing was changed. Ask for that package instead "
            "(unshim_containerd_package)."
            % (_name(), ", ".join(other), ", ".join(sorted(transaction.installed)) or "nothing"),
            {"instead": sorted(transaction.installed)},
        )
    changed = {name: (before[name], versions[1]) for name, versions in transaction.changed.items()}
    return transaction._replace(changed=changed)


def parse_transaction(text: str) -> Transaction:
    """Return the transaction in the table that dnf 4, dnf 5 or yum 3 print; versions before are not in it.

    A row is ``name arch version repository size``, of which any may be on the next line; below it, what it replaces:
    ``replacing  name.arch version`` (dnf 4, yum 3) or ``replacing name arch version repository size`` (dnf 5).
    """
    transaction = Transaction({}, {}, [])
    section, row = "", []  # type: str, List[str]
    for line in text.splitlines():
        if line.startswith("Transaction Summary"):
            break
        if not line.startswith(" "):
            section, row = line.strip(), []
            continue
        words = line.split()
        if len(words) > 2 and words[0] == "replacing":
            row = []
            name = words[1] if _is_architecture(words[2]) else words[1].rpartition(".")[0]
            if name not in transaction.changed:
                transaction.removed.append(name)
            continue
        row += words
        if len(row) < 4:
            continue
        name, version, row = row[0], without_epoch_0(row[2]), []
        if REMOVED.match(section):
            transaction.removed.append(name)
        elif CHANGED.match(section):
            transaction.changed[name] = ("", version)
        elif INSTALLED.match(section):
            transaction.installed[name] = version
    return transaction


def _is_architecture(word: str) -> bool:
    return word in ("noarch", "x86_64", "aarch64", "ppc64le", "s390x", "i686", "armv7hl", "riscv64", commands.machine())


def install(wanted: Dict[str, str]) -> None:
    """Install ``wanted`` (name -> version or ""); RPM keeps every configuration file that was changed."""
    verb = "install"
    if _is_yum() and any(wanted.values()) and all(installed(sorted(wanted)).values()):
        # yum 3 says "Nothing to do" to the installation of an older version.
        said = commands.run([_program(), "-C", "--assumeno", "install"] + _specs(wanted), timeout=120, check=False)
        verb = "install" if "Transaction Summary" in said.out else "downgrade"
    _run(_options() + [verb] + _specs(wanted))
    missing = [name for name, version in installed(sorted(wanted)).items() if not version]
    if missing:
        raise NodeError(
            "%s reported success, but %s is not installed; run `%s install %s` on the node to see why."
            % (_name(), ", ".join(missing), _name(), " ".join(_specs(wanted)))
        )


def is_download_failure(message: str) -> bool:
    """Return False: dnf reads the lists anew by itself when they are old."""
    return False


def held(names: List[str]) -> List[str]:
    """Return those of ``names`` whose version is locked."""
    lists = "\n".join((files.read_bytes(path) or b"").decode("utf-8", "replace") for path in VERSIONLOCK_LISTS)
    toml = (files.read_bytes(VERSIONLOCK_DNF5) or b"").decode("utf-8", "replace")
    return parse_locks(lists, toml, names)


def parse_locks(lists: str, toml: str, names: List[str]) -> List[str]:
    """Return those of ``names`` that versionlock's files name.

    Args:
        lists: of dnf 4 and yum 3, ``[EPOCH:]NAME-[EPOCH:]VERSION-RELEASE.ARCH`` a line; "!" excludes a version instead.
        toml: of dnf 5, ``name = "NAME"`` below ``[[packages]]``.
    """
    entries = [line.strip() for line in lists.splitlines() if line.strip() and line.strip()[0] not in "#!"]
    in_toml = re.findall(r"(?m)^\s*name\s*=\s*[\"']([^\"']+)[\"']", toml)
    return [
        name
        for name in names
        if name in in_toml or any(re.match(r"(\d+:)?%s-(\d+:)?[\d*]" % re.escape(name), entry) for entry in entries)
    ]


def cannot_hold() -> str:
    """Return why versions cannot be locked, "" if they can."""
    if _cached(["versionlock", "list"]).rc == 0:
        return ""
    return "%s has no plugin versionlock (package %s)" % (
        _name(),
        "yum-plugin-versionlock" if _is_yum() else "python3-dnf-plugin-versionlock",
    )


def hold(names: List[str]) -> None:
    """Lock the packages in their installed versions."""
    _run(["-C"] + _lock_options() + ["versionlock", "add"] + names)


def release(names: List[str]) -> None:
    """Take the locks off."""
    _run(["-C"] + _lock_options() + ["versionlock", "delete"] + names)


def _program() -> str:
    for name in ("dnf", "dnf5", "yum"):
        path = commands.find(name)
        if path:
            return path
    return ""


def _name():
    return os.path.basename(_program())


def _is_yum() -> bool:
    """Return whether this is yum 3: since RHEL 8, yum is a link to dnf."""
    return os.path.basename(files.real_path(_program())).startswith("yum")


def _is_dnf5() -> bool:
    return os.path.basename(files.real_path(_program())) == "dnf5"


def _options():
    options = ["--setopt=metadata_expire=-1"]  # what was simulated is what is installed
    if not _is_yum():
        options.append("--setopt=install_weak_deps=False")
    return options + _lock_options()


def _lock_options():
    """dnf 4 and yum 3 would wait for a lock for ever; dnf 5 does not wait."""
    return [] if _is_dnf5() else ["--setopt=exit_on_lock=True"]


def _specs(wanted):
    return [_spec(name, version) for name, version in sorted(wanted.items())]


def _spec(name, version):
    if not version:
        return name
    # yum 3 takes an epoch only before a version with an architecture.
    return "%s-%s" % (name, version) + (".%s" % commands.machine() if ":" in version and _is_yum() else "")


_waits = matching(LOCKED)


# What is no reason: progress, and hints that are not ours to follow.
NOISE = re.compile(
    r"(?i)operation aborted|exiting on user|last metadata|updating and loading|repositories loaded|you can try|--skip|"
    r"failed to resolve the transaction"
)


def _said(result):
    lines = [line.strip() for line in (result.err + "\n" + result.out).splitlines()]
    lines = [line for line in lines if line and not NOISE.match(line)]
    start = next(
        (i for i, line in enumerate(lines) if re.match(r"(?i)error|no match|failed|argument|problem", line)), 0
    )
    said = [re.sub(r"^Error: ?", "", line) for line in lines[start : start + 6]]
    return "; ".join(line for line in said if line) or "no reason given"


def _cached(arguments):
    return run_locked([_program(), "-q", "-C"] + _lock_options() + arguments, _waits, _said, good=(0, 1))


def _run(arguments):
    return run_locked([_program(), "-y"] + arguments, _waits, _said)
