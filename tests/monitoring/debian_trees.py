"""Debian packages, unpacked once for all runs and installed nowhere."""

import os
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("UNSHIM_CACHE", "/var/cache/unshim"))
RELEASES = {"1.6": "bookworm", "1.7": "trixie", "2.1": "sid"}  # of containerd: the suite that has it


def unpacked(name, suite, *packages):
    """Return where packages of a suite are unpacked."""
    target = CACHE / f"debian-{name}"
    if not target.exists():
        subprocess.run(["bash", Path(__file__).with_name("unpack_debian.sh"), suite, target, *packages], check=True)
    return target


def containerd(release):
    return unpacked(f"containerd-{release}", RELEASES[release], "containerd")
