"""deploys/audit.py against 200 real SSH targets on this machine, some of them out of order."""

import json
from pathlib import Path

import jsonschema

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/audit.schema.json").read_text())


def test_two_hundred_targets_ten_of_them_out_of_order(farm, auditor):
    with farm(up=192, down=5, hanging=2, silent=1, caches=True) as fleet:
        hosts = {f"up-{number:03}": {"ansible_port": port} for number, port in enumerate(fleet.up)}
        for kind in ("down", "hanging", "silent"):
            hosts |= {f"{kind}-{number}": {"ansible_port": port} for number, port in enumerate(getattr(fleet, kind))}
        hosts["up-000"]["ansible_user"] = "closed"
        hosts["up-001"]["ansible_user"] = "broken"
        assert len(hosts) == 200
        done = auditor.pyinfra(fleet.inventory(hosts), timeout=60)
        sessions = fleet.sessions()
    jsonschema.validate(done.audit, SCHEMA)
    nodes = done.nodes()
    assert set(nodes) == set(hosts)
    expected = {name: "seen" for name in hosts}
    expected |= {name: "unreachable" for name in hosts if name.startswith("down-")}
    expected |= {name: "timed-out" for name in hosts if name.startswith(("hanging-", "silent-"))}
    expected |= {"up-000": "no-probe", "up-001": "no-probe"}
    assert {name: node["status"] for name, node in nodes.items()} == expected
    assert "account is currently not available" in nodes["up-000"]["reason"]
    assert "error while loading shared libraries" in nodes["up-001"]["reason"]
    assert nodes["hanging-0"]["reason"] == "it did not answer the probe within 60 s"
    assert nodes["silent-0"]["reason"] == "it did not let us in within 60 s"
    assert "Unable to connect" in nodes["down-0"]["reason"]
    # One command on each node that let us in; the machines have no kubelet, which blocks.
    assert len(sessions) == 200 - 5 - 1
    assert done.code == 2, done.errors
    assert done.errors == ""
    assert "200 nodes: 190 blocked, 10 unknown" in done.output


def test_a_slow_node_is_seen_and_its_time_told(farm, auditor):
    with farm(up=0, tardy=1) as fleet:
        node = auditor.pyinfra(fleet.inventory({"tardy": {"ansible_port": fleet.tardy[0]}}), timeout=90).nodes()[
            "tardy"
        ]
    assert node["status"] == "seen"
    assert node["elapsed"] >= 4


def test_a_fleet_nobody_saw_is_unknown(auditor, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "kube_node: {hosts: {n1: {ansible_host: 127.0.0.1, ansible_port: 9}, n2: {ansible_connection: x}}}\n"
    )
    done = auditor.pyinfra(inventory)
    assert done.code == 3, done.errors
    assert {name: node["status"] for name, node in done.nodes().items()} == {"n1": "unreachable", "n2": "not-audited"}


def test_bad_arguments_and_inventories_audit_nothing(auditor, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("others: {hosts: {n1: {}}}\n")
    broken = tmp_path / "broken.yml"
    broken.write_text("all: [\n")
    for arguments, says in (
        ((tmp_path / "absent.yml",), "there is no inventory"),
        ((inventory,), "no hosts in kube_node and kube_control_plane"),
        ((inventory, "--forks", "0"), "--forks is 0"),
        ((inventory, "--group", "nothing"), "no hosts in nothing"),
        ((broken,), "broken.yml:2 cannot be read: YAML parsing failed"),
    ):
        done = auditor.pyinfra(*arguments)
        assert (done.code, done.audit) == (64, None)
        assert says in done.errors
        assert "Traceback" not in done.errors
