"""Prepare disturbs nothing: not one container restarts. Also the record that the later phases compare with."""

import json

import node_snapshot


def announced(runbook):
    """Return {inventory host: plan} as the runbook's plan.yml made it, through Ansible's JSON output."""
    (said,) = runbook("rolling-migration", "See what will happen", ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    plans = {}
    for play in json.JSONDecoder().raw_decode(said.output[said.output.index("{") :])[0]["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                plan = result.get("ansible_facts", {}).get("runtime_plan")
                if plan:
                    plans[host] = plan
    return plans


def test_record_the_cluster_as_it_is(lab, runbook):
    plans = announced(runbook)
    assert set(plans) == set(lab.nodes)
    lab.remember("plans", plans)
    lab.remember("before", {node: node_snapshot.take(lab, node) for node in lab.nodes})
    lab.remember("objects", lab.object_versions())
    lab.remember(
        "docker_images", {node: lab.on(node, "docker images -a --no-trunc -q | sort").split() for node in lab.nodes}
    )
    lab.remember(
        "docker_data",
        {
            node: lab.on(node, "cd /var/lib/docker && ls -d image/overlay2/layerdb/sha256/* volumes/* | sort").split()
            for node in lab.nodes
        },
    )
    lab.remember("store_volume", lab.on(store_node(lab), "cat /srv/store/*"))


def store_node(lab):
    return lab.get("pod", "-n", "shop", "store-0")["spec"]["nodeName"]


def test_prepare_restarts_no_container(lab, runbook):
    before = {node: lab.docker_containers(node) for node in lab.nodes}
    assert all(before.values())
    runbook("rolling-migration", "Prepare")
    for node in lab.nodes:
        assert lab.docker_containers(node) == before[node]
        assert lab.journal(node)["state"] == "prepared"
        conditions = {c["type"]: c["status"] for c in lab.get("node", node)["status"]["conditions"]}
        assert conditions["Ready"] == "True"
    pulls = lab.registry_pulls()
    assert pulls, "the registry's access log must show the pulls that built this cluster"
    lab.remember("pulls", len(pulls))
    lab.remember("repositories", {lab.address(node): lab.repositories(node) for node in lab.nodes})
