"""probe.sh run for real, by every POSIX shell this machine has, on this machine."""

import hashlib
import os
import pwd
import re
import shutil
import subprocess
from functools import cache
from shlex import quote

import pytest

from unshim import observe

SHELLS = [("dash",), ("bash", "--posix"), ("busybox", "sh"), ("mksh",), ("yash",), ("ksh",)]
HERE = [shell for shell in SHELLS if shutil.which(shell[0])]


@cache
def run(shell, environment=(), user=None):
    """Run the script once; what is asked twice is answered from memory."""
    done = subprocess.run(
        [*shell, "-c", observe.probe_script()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **dict(environment)},
        user=user,
        timeout=60,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode(), done.returncode


@pytest.mark.parametrize("shell", HERE, ids=" ".join)
def test_every_shell_sees_this_machine(shell):
    text, errors, code = run(shell)
    assert (errors, code) == ("", 0)
    facts = observe.parse(text)
    assert facts.hostname == os.uname().nodename
    assert facts.uid == os.getuid()
    assert facts.os.architecture == os.uname().machine
    assert facts.os.kernel == os.uname().release
    assert facts.os.id
    assert facts.os.init
    assert facts.mounts["/"].path == "/"
    assert facts.mounts["/"].size > 0


def test_shells_agree():
    seen = []
    for shell in HERE:
        facts = observe.parse(run(shell)[0])
        seen.append((facts.os, facts.packages, facts.files, facts.kernel, facts.cni_plugins))
    assert all(other == seen[0] for other in seen)


def test_the_script_is_the_same_however_it_is_handed_over():
    """pyinfra and docker exec hand it over as standard input; main reads from /dev/null, so nothing eats the script."""
    done = subprocess.run(
        ["sh", "-s"], input=observe.probe_script().encode(), capture_output=True, timeout=60, check=True
    )
    assert observe.parse(done.stdout.decode("utf-8", "surrogateescape")).uid == os.getuid()


def test_a_script_that_arrives_cut_off_prints_nothing():
    script = observe.probe_script()
    cut = script[: script.rindex("main <")]
    done = subprocess.run(["sh", "-c", cut], capture_output=True, timeout=60, check=False)
    assert done.stdout == b""


def test_docker_settings_of_the_user_lead_nowhere():
    """Docker is asked at its socket on this node, whatever the user's environment says."""
    text, _, _ = run(("sh",), (("DOCKER_HOST", "tcp://192.0.2.1:2375"), ("DOCKER_CONTEXT", "elsewhere")))
    plain, _, _ = run(("sh",))
    assert observe.parse(text).docker.answers == observe.parse(plain).docker.answers


def test_localized_output_does_not_reach_the_parser():
    facts = observe.parse(run(("sh",), (("LANG", "de_DE.UTF-8"), ("LC_ALL", "de_DE.UTF-8"), ("LANGUAGE", "de")))[0])
    plain = observe.parse(run(("sh",))[0])
    assert facts.packages == plain.packages


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_gets_what_it_may_see():
    facts = observe.parse(run(("sh",), user=pwd.getpwnam("nobody").pw_uid)[0])
    assert facts.uid == pwd.getpwnam("nobody").pw_uid
    assert facts.files["/root/.docker/config.json"].kind == "unreadable"


@pytest.mark.skipif(shutil.which("base64") is None, reason="compares with base64")
@pytest.mark.skipif(os.getuid() != 0, reason="writes below /var/lib/unshim")
@pytest.mark.parametrize("hidden", [[], ["base64"], ["base64", "openssl"]], ids=" ".join)
def test_file_contents_arrive_whole_with_any_encoder(hidden, tmp_path):
    """A node without base64 has openssl or od."""
    content = bytes(range(1, 128)) * 40 + "ünïcode, no newline at the end".encode()
    target = tmp_path / "hosts.toml"
    target.write_bytes(content)
    script = observe.probe_script()
    hide = "".join(f'[ "$1" = {name} ] && return 1; ' for name in hidden)
    script = script.replace("has() { ", "has() { " + hide)
    start = script.index("\nmain() {")
    script = (
        script[:start]
        + f"\nNEWLINE=$NEWLINE; files_done=$NEWLINE; printf '@@unshim-probe 1\\n'; file {target}; printf '@@unshim-probe-end\\n'\n"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=30, check=True)
    file = observe.parse(done.stdout.decode()).files[str(target)]
    assert file.content == content.decode()
    assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_both_sides_name_the_same_packages():
    match = re.search(r"^PACKAGES='([^']*)'$", observe.probe_script(), re.MULTILINE)
    assert match is not None
    assert tuple(match.group(1).split()) == observe.PACKAGES


def test_it_fits_into_one_argument():
    """Linux takes 128 KiB in one argument; the script must fit even where its quotes are quoted twice."""
    assert len(quote(quote(observe.probe_script()))) < 128 * 1024
