"""What keeps root from changing a file, seen by the probe on real files of this machine."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import pytest

from unshim import observe

SHELLS = [("dash",), ("bash", "--posix"), ("busybox", "sh"), ("mksh",), ("yash",)]
HERE = [shell for shell in SHELLS if shutil.which(shell[0])]
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root is told")


def obstacles(paths, shell=("sh",)):
    script = observe.probe_script()
    script = script[: script.rindex("main <")] + "exec 2>/dev/null; unset IFS; find_timeout; files_done=$NEWLINE\n"
    looks = "".join(f"file {quote(str(path))}\n" for path in paths)
    script += f"printf '@@unshim-probe 1\\n'; {looks} show_obstacles; printf '@@unshim-probe-end\\n'"
    done = subprocess.run([*shell, "-c", script], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    return observe.parse(done.stdout).obstacles


@contextmanager
def attribute(path, flag):
    done = subprocess.run(["chattr", f"+{flag}", path], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the file system of {path} has no attributes")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{flag}", path], check=True)


@pytest.fixture
def folder():
    # Not pytest's: /tmp is often a file system without attributes, and a name with a blank must do.
    with tempfile.TemporaryDirectory(prefix="unshim obstacles-", dir="/var/lib") as name:
        yield Path(name)


@pytest.mark.skipif(not shutil.which("chattr"), reason="needs chattr (e2fsprogs)")
@pytest.mark.parametrize("shell", HERE, ids=" ".join)
@pytest.mark.parametrize("flag, obstacle", [("i", "immutable"), ("a", "append-only")])
def test_attributes_of_files_and_directories(flag, obstacle, shell, folder):
    (folder / "closed").mkdir()
    for name in ("plain", "kept", "closed/inside"):
        (folder / name).write_text("x\n")
    (folder / "link").symlink_to("kept")
    with attribute(folder / "kept", flag), attribute(folder / "closed", flag):
        seen = obstacles([folder / "plain", folder / "link", folder / "closed/inside", folder / "closed/new"], shell)
    assert seen[str(folder / "kept")] == obstacle
    assert seen[str(folder / "closed")] == obstacle
    assert seen[str(folder)] == ""
    assert str(folder / "plain") not in seen


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a mount namespace")
def test_read_only_file_systems_and_mounted_files(folder):
    (folder / "ro").mkdir()
    (folder / "bound").write_text("x\n")
    (folder / "other").write_text("y\n")
    script = observe.probe_script()
    script = (
        script[: script.rindex("main <")]
        + """
      exec 2>/dev/null; unset IFS; find_timeout; files_done=$NEWLINE
      mount -t tmpfs -o ro none "$1/ro" && mount --bind "$1/other" "$1/bound" || exit 77
      printf '@@unshim-probe 1\\n'; file "$1/ro/new/file"; file "$1/bound"; show_obstacles; printf '@@unshim-probe-end\\n'
    """
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", folder],
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode in (1, 77):
        pytest.skip("nothing may be mounted here")
    seen = observe.parse(done.stdout).obstacles
    assert seen[str(folder / "ro")] == "read-only"
    assert seen[str(folder)] == ""
