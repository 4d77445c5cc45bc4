"""Through pyinfra or through Ansible: the same node, the same facts, the same JSON; and nothing is changed on it."""

import json
import os
from pathlib import Path

import jsonschema
import pytest
import sshd_farm

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/schemas/audit.schema.json").read_text())


def lasting(node):
    """Return what the audit says of a node, without what differs between any two moments."""
    node = json.loads(json.dumps(node))
    node.pop("elapsed")
    if node["facts"]:
        node["facts"].pop("time")
        node["facts"].pop("docker_clients")
        for mount in node["facts"]["mounts"].values():
            mount.pop("available")
    return node


def both(auditor, inventory, *ansible):
    by_pyinfra = auditor.pyinfra(inventory, "--with-facts", timeout=20)
    by_ansible = auditor.ansible(inventory, "-e", '{"unshim_audit_facts": true}', *ansible, timeout=20)
    assert by_ansible.code == 0, by_ansible.output + by_ansible.errors
    for done in (by_pyinfra, by_ansible):
        jsonschema.validate(done.audit, SCHEMA)
    return by_pyinfra, by_ansible


@pytest.mark.parametrize("user", ["root", "auditor"])
def test_same_node_same_facts(farm, auditor, user):
    with farm(up=1) as fleet:
        inventory = fleet.inventory({"n1": {"ansible_port": fleet.up[0], "ansible_user": user}})
        by_pyinfra, by_ansible = both(auditor, inventory)
    one, other = (lasting(done.nodes()["n1"]) for done in (by_pyinfra, by_ansible))
    # Each says in its own words why the user could not become root.
    for node in (one, other):
        assert ("sudo: not found" in node.pop("reason")) == (user != "root")
        node.pop("summary")
    assert one["facts"]["files"]["/etc/cni/net.d/caf\udce9.conflist"]["content"] == "{}\n"
    assert one == other


def test_the_local_machine_too(auditor, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("kube_node: {hosts: {here: {ansible_connection: local}}}\n")
    by_pyinfra, by_ansible = both(auditor, inventory)
    one, other = (done.nodes()["here"] for done in (by_pyinfra, by_ansible))
    assert one["facts"]["hostname"] == other["facts"]["hostname"] == os.uname().nodename
    for part in ("os", "kernel", "packages", "files", "uid"):
        assert one["facts"][part] == other["facts"][part]


def test_same_words_for_what_cannot_be_seen(farm, auditor):
    with farm(up=1, down=1, hanging=1) as fleet:
        hosts = {"down": {"ansible_port": fleet.down[0]}, "hanging": {"ansible_port": fleet.hanging[0]}}
        hosts |= {user: {"ansible_port": fleet.up[0], "ansible_user": user} for user in ("closed", "broken")}
        by_pyinfra, by_ansible = both(auditor, fleet.inventory(hosts))
    expected = {"down": "unreachable", "hanging": "timed-out", "closed": "no-probe", "broken": "no-probe"}
    for done in (by_pyinfra, by_ansible):
        assert {name: node["status"] for name, node in done.nodes().items()} == expected
        assert all(node["reason"] and node["remedy"] for node in done.nodes().values())
        assert done.audit["severity"] == "unknown"
    assert "4 nodes: 4 unknown" in by_pyinfra.output and "4 nodes: 4 unknown" in by_ansible.output


def test_through_a_bastion(farm, auditor):
    with farm(up=2) as fleet:
        bastion, port = fleet.up
        way = f"ssh -q -i {fleet.key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p {bastion} -W %h:%p root@127.0.0.1"
        arguments = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ProxyCommand='{way}'"
        inventory = fleet.inventory({"n1": {"ansible_port": port, "ansible_ssh_common_args": arguments}})
        node = auditor.pyinfra(inventory, timeout=90).nodes()["n1"]
        log = (fleet.directory / "sshd.log").read_text()
    assert node["status"] == "seen", node["reason"]
    assert f"on 127.0.0.1 port {bastion}" in log and f"on 127.0.0.1 port {port}" in log


def test_an_ordinary_user_is_told_what_he_could_not_see(farm, auditor):
    with farm(up=1) as fleet:
        inventory = fleet.inventory({"n1": {"ansible_port": fleet.up[0], "ansible_user": "auditor"}})
        done = auditor.pyinfra(inventory, "--no-become")
    node = done.nodes()["n1"]
    assert done.code == 3
    assert (node["status"], node["severity"]) == ("partial", "unknown")
    assert node["reason"] == f"looked at as user id {sshd_farm.AUDITOR}, not as root"
    assert "/etc/docker/daemon.json: may not be read by this user" in node["not_seen"]
    assert node["runtime"]["os"]


@pytest.mark.parametrize("user", ["root", "auditor"])
@pytest.mark.parametrize("way", ["pyinfra", "ansible"])
def test_nothing_changes_on_a_node(farm, auditor, user, way):
    with farm(up=1) as fleet:
        inventory = fleet.inventory({"n1": {"ansible_port": fleet.up[0], "ansible_user": user}})
        before, processes = fleet.files(), fleet.processes()
        done = getattr(auditor, way)(inventory)
        assert done.nodes()["n1"]["status"] == ("seen" if user == "root" else "partial")
        changed = {line.split()[0] for line in fleet.files() ^ before}
        # With Ansible a node's sshd has a terminal to open, and notes the login: that is sshd's doing, at any login.
        notes = {"/var", "/var/log", "/var/log/lastlog", "/var/log/wtmp", "/var/log/wtmp.db", "/run/utmp", ""}
        logins = notes if way == "ansible" else set()
        allowed = {f"{fleet.directory}/machine/{top}{path}" for path in logins for top in ("upper", "root")}
        assert changed - allowed == set()
        assert fleet.processes() == processes


def test_what_writes_on_a_node_is_noticed(farm):
    """The snapshot above can see a change."""
    with farm(up=1) as fleet:
        before = fleet.files()
        fleet.inside(f"echo x >{fleet.directory}/machine/root/etc/new; echo x >{fleet.directory}/machine/root/tmp/new")
        names = {line.split()[0].rpartition("/")[2] for line in fleet.files() ^ before}
        assert "new" in names and len(fleet.files() - before) >= 2


def test_facts_are_for_their_owner_only(auditor, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("kube_node: {hosts: {here: {ansible_connection: local}}}\n")
    auditor.pyinfra(inventory)
    assert all(node["facts"] is None for node in json.loads((tmp_path / "pyinfra.json").read_text())["nodes"])
    auditor.pyinfra(inventory, "--with-facts")
    assert (tmp_path / "pyinfra.json").stat().st_mode & 0o777 == 0o600
