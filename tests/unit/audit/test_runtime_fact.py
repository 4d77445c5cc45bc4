"""The fact for pyinfra: its command run for real by this machine's shell, its parser on recorded probes."""

import base64
import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from unshim import observe, probe_command

ROOT = Path(__file__).parents[3]
PROBES = sorted((ROOT / "tests/data/probes").glob("*.probe"))


@pytest.fixture(scope="module")
def fact():
    spec = importlib.util.spec_from_file_location("runtime_fact", ROOT / "deploys/facts/runtime.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["runtime_fact"] = module
    spec.loader.exec_module(module)
    return module.RuntimeFacts()


def sh(command, path=None, password=""):
    environment = {**os.environ, **({"PATH": path} if path else {})}
    done = subprocess.run(
        [shutil.which("sh"), "-c", command], input=password.encode(), capture_output=True, env=environment, timeout=60,
        check=False,
    )  # fmt: skip
    return done.stdout.decode("ascii").splitlines(), done.stderr.decode(), done.returncode


def packed(text):
    content = base64.encodebytes(gzip.compress(text.encode("utf-8", "surrogateescape"))).decode().splitlines()
    return [probe_command.PACKED, *content, probe_command.PACKED_END]


@pytest.mark.parametrize("plain", [False, True])
def test_the_command_runs(fact, plain):
    output, _, _ = sh(fact.command(plain=plain))
    assert fact.process(output).uid == os.getuid()


def test_what_is_no_utf8_comes_through(fact, tmp_path):
    """Pyinfra decodes a node's output as UTF-8 and stops at what is none."""
    script = "printf '@@unshim-probe 1\\n@@system\\nhostname caf\\351\\n@@unshim-probe-end\\n'"
    output, _, _ = sh(probe_command.packed_both_ways(script))
    assert probe_command.unpacked("\n".join(output)).splitlines()[2] == "hostname caf\udce9"


@pytest.mark.parametrize("probe", PROBES, ids=lambda path: path.stem)
def test_recorded_probes_become_the_same_facts(fact, probe):
    text = probe.read_bytes().decode("utf-8", "surrogateescape")
    assert fact.process(["Welcome!", *packed(text), "logout"]) == observe.parse(text)


@pytest.mark.parametrize(
    "output, says",
    [
        ([], "the probe did not run: it printed nothing"),
        (["This account is currently not available."], "the probe did not run: This account"),
        (packed("x" * 9999)[:-1], "cut off"),
        ([probe_command.PACKED, "!!!!", probe_command.PACKED_END], "damaged"),
        ([probe_command.PACKED, probe_command.PACKED_END], "it printed nothing"),
    ],
)
def test_what_is_no_probe_is_said(fact, output, says):
    with pytest.raises(FactProcessError, match=says):
        fact.process(output)


def stand_in(folder, name, body):
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_root_needs_no_sudo(fact, tmp_path):
    """Where the user is root already, sudo is not even called; it may not be installed."""
    path = stand_in(tmp_path, "sudo", "echo called >&2; exit 1")
    stand_in(tmp_path, "id", "echo 0")
    output, errors, _ = sh(probe_command.as_root("echo ran", "sudo", False), path)
    assert (output, errors) == (["ran"], "")


def test_sudo_gets_the_password_and_the_whole_command(tmp_path):
    path = stand_in(tmp_path, "sudo", 'echo "$1 $2 $3 $4"; cat; shift 4; exec "$@"')
    stand_in(tmp_path, "id", "echo 1000")
    output, _, _ = sh(probe_command.as_root('echo "it\'s $((1 + 1))"', "sudo", True), path, "secret\n")
    assert output == ["-H -S -p unshim:", "secret", "it's 2"]


def test_a_refused_sudo_leaves_a_look_as_the_user(tmp_path):
    path = stand_in(tmp_path, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    stand_in(tmp_path, "id", "echo 1000")
    output, errors, code = sh(probe_command.as_root("echo ran", "sudo", False), path)
    assert (output, errors, code) == (["ran"], "sudo: a password is required\n", 0)
