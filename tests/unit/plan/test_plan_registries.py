"""Registries in a plan: what was carried out is not planned again, what is renewed is, and what others made stays."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from unshim import plan
from unshim.facts import File
from unshim.plan_model import Settings

CERTS, COPIES = "/etc/docker/certs.d", "/etc/containerd/certs.d"
JOURNAL = "/var/lib/unshim/journal.json"
DAEMON = "/etc/docker/daemon.json"
CONFIG = "/etc/containerd/config.toml"
LOGINS = "/root/.docker/config.json"


PEM = (Path(__file__).parents[2] / "data/certificates/ca.crt").read_text()


def pem(text):
    return f"# {text}\n{PEM}"


def file(path, content, mode="0644"):
    return File(path, "file", content, hashlib.sha256(content.encode()).hexdigest(), mode, "root", "root")


def key(path):
    return File(path, "file", mode="0600", owner="root", group="root")


NODE = (
    file(f"{CERTS}/t.example/ca.crt", pem("ca")),
    file(f"{CERTS}/t.example/c.cert", pem("client")),
    key(f"{CERTS}/t.example/c.key"),
)


def laid(facts, *files):
    return replace(facts, files={**facts.files, **{one.path: one for one in files}})


def carried_out(facts, made):
    """Do to facts what containerd_config does to a node, its journal included."""
    written, files = {}, []
    for change in made.files:
        if change.role in ("registry", "containerd_config") and change.stage == "prepare":
            files.append(file(change.path, change.after, change.mode))
            written[change.path] = files[-1].sha256
    for copy in made.copies:
        source = facts.files[copy.source]
        files.append(replace(source, path=copy.path))
        written[copy.path] = source.sha256 or "0" * 64  # of a key the probe sees no checksum
    records = {path: {"written_sha256": checksum} for path, checksum in written.items()}
    journal = json.dumps({"format": 1, "state": "prepared", "source": "dockershim", "files": records})
    return laid(facts, *files, File(JOURNAL, "file", journal, mode="0600"))


def planned(facts):
    made = plan.make(facts, Settings(), "w1")
    changes = [change for change in made.files if change.role == "registry" and "unshim-registry" not in change.path]
    files = {change.path.removeprefix(COPIES + "/") for change in changes}
    copies = {copy.path.removeprefix(COPIES + "/") for copy in made.copies}
    return made, files, copies


def ids(made):
    return [finding.id for finding in made.findings if finding.id.startswith("registry")]


def test_certificates_are_copied_with_their_owner_and_mode_and_only_keys_are_secret(worker):
    made, files, copies = planned(laid(worker(), *NODE))
    assert files == {"t.example/hosts.toml"}
    assert copies == {"t.example/ca.crt", "t.example/c.cert", "t.example/c.key"}
    assert [(copy.mode, copy.secret) for copy in made.copies] == [("0644", False), ("0600", True), ("0644", False)]


def test_what_was_carried_out_is_not_planned_again(worker):
    facts = laid(worker(), *NODE)
    again, files, copies = planned(carried_out(facts, planned(facts)[0]))
    assert (files, copies, ids(again)) == (set(), set(), [])


def test_tables_of_containerd_1_4_are_not_planned_again(worker):
    facts = laid(
        worker({"containerd": {"version": "1.4.13"}, "packages": {"containerd": {"version": "1.4.13"}}}), *NODE
    )
    made, _, copies = planned(facts)
    assert copies == {"t.example/ca.crt", "t.example/c.cert", "t.example/c.key"}
    config = next(change.after for change in made.files if change.path == CONFIG)
    assert 'ca_file = "/etc/containerd/certs.d/t.example/ca.crt"' in config and "config_path" not in config
    again, files, copies = planned(carried_out(facts, made))
    assert (files, copies, ids(again)) == (set(), set(), [])
    assert "legacy-registry-config" not in [finding.id for finding in again.findings]
    assert CONFIG not in [change.path for change in again.files]


def test_a_run_cut_short_goes_on(worker):
    facts = laid(worker(), *NODE)
    made = planned(facts)[0]
    short = replace(made, copies=made.copies[:1], files=())
    again, files, copies = planned(carried_out(facts, short))
    assert (files, ids(again)) == ({"t.example/hosts.toml"}, [])
    assert copies == {copy.path.removeprefix(COPIES + "/") for copy in made.copies[1:]}


def test_a_renewed_certificate_is_copied_again_and_its_key_with_it(worker):
    facts = laid(worker(), *NODE)
    renewed = laid(carried_out(facts, planned(facts)[0]), file(f"{CERTS}/t.example/c.cert", pem("renewed")))
    again, files, copies = planned(renewed)
    assert (files, copies, ids(again)) == (set(), {"t.example/c.cert", "t.example/c.key"}, [])


def test_a_certificate_that_was_added_changes_our_file(worker):
    facts = laid(worker(), *NODE)
    more = laid(carried_out(facts, planned(facts)[0]), file(f"{CERTS}/t.example/other.crt", pem("other")))
    again, files, copies = planned(more)
    assert (files, copies, ids(again)) == ({"t.example/hosts.toml"}, {"t.example/other.crt"}, [])


def test_a_file_edited_after_us_is_somebody_elses(worker):
    facts = laid(worker(), *NODE)
    there = carried_out(facts, planned(facts)[0])
    edited = laid(there, file(f"{COPIES}/t.example/hosts.toml", "server = 'https://mine'\n"))
    again, files, copies = planned(edited)
    assert (files, copies, ids(again)) == (set(), set(), ["registry-exists"])


def test_a_mirrors_certificate_that_is_there_and_another_leaves_the_mirror_alone(worker):
    changes = {
        "docker": {"registry_mirrors": None, "insecure_registries": None},
        "files": {DAEMON: {"content": '{"registry-mirrors": ["https://t.example"]}'}},
    }
    facts = laid(worker(changes), NODE[0], file(f"{COPIES}/t.example/ca.crt", pem("mine")))
    again, files, copies = planned(facts)
    assert (files, copies, ids(again)) == (set(), set(), ["registry-exists"] * 2)


def test_dockers_own_directory_needs_no_copies(worker):
    config = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/docker/certs.d"\n'
    made = planned(laid(worker(), *NODE, file(CONFIG, config)))[0]
    changes = {change.path: change.after for change in made.files}
    assert made.copies == ()
    assert f'ca = ["{CERTS}/t.example/ca.crt"]' in changes[f"{CERTS}/t.example/hosts.toml"]
    assert "registry-docker-directory" in ids(made)


@pytest.mark.parametrize("entry", ['password = "pw"', 'auth = "cHc="', 'identitytoken = "t"'])
def test_a_configuration_with_logins_is_not_shown(worker, entry):
    config = f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.configs."x".auth]\n{entry}\n'
    made = planned(laid(worker(), file(CONFIG, config)))[0]
    assert [change.secret for change in made.files if change.path == CONFIG] == [True]


# Logins


def logins(facts):
    made = planned(facts)[0]
    return [(f.id, f.severity, f.message) for f in made.findings if f.id.startswith("registry-login")]


def with_kubelet(facts, **fields):
    return replace(facts, kubelet=replace(facts.kubelet, **fields))


def test_docker_s_command_line_s_logins_are_not_a_kubelet_s_without_home(worker):
    """As a service of systemd has it: no HOME, so $HOME/.docker is /.docker."""
    ((id, severity, message),) = logins(laid(worker(), key(LOGINS)))
    assert (id, severity) == ("registry-login-unused", "info")
    assert message.startswith(LOGINS) and "has no HOME" in message and "/var/lib/kubelet/config.json" in message


def test_a_kubelet_with_root_s_home_goes_on_using_them(worker):
    facts = laid(with_kubelet(worker(), environment={"HOME": "/root"}), key(LOGINS))
    facts = replace(facts, registry_logins={LOGINS: ("auths", "reg.example:5000", "https://index.docker.io/v1/")})
    ((id, severity, message),) = logins(facts)
    assert (id, severity) == ("registry-login-kept", "info")
    assert "for reg.example:5000, docker.io" in message


def test_the_first_file_counts_and_a_root_directory_moves_it(worker):
    facts = with_kubelet(worker(), command_line=(*worker().kubelet.command_line, "--root-dir=/srv/kubelet"))
    facts = laid(
        facts, key("/srv/kubelet/config.json"), key("/.docker/config.json"), key("/var/lib/kubelet/config.json")
    )
    ((id, _, message),) = logins(facts)
    assert id == "registry-login-kept" and message.startswith("/srv/kubelet/config.json:")


@pytest.mark.parametrize("helper", ["credsStore", "credHelpers"])
def test_helpers_are_only_docker_s(worker, helper):
    path = "/var/lib/kubelet/config.json"
    facts = replace(laid(worker(), key(path)), registry_logins={path: (helper,)})
    assert [(id, severity) for id, severity, _ in logins(facts)] == [
        ("registry-login-helper", "warn"),
        ("registry-login-kept", "info"),
    ]
