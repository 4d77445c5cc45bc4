"""The checks of docs/compatibility.md, one test each. For anybody's nodes, not only the lab's:

pytest tests/compat --ansible-inventory=INVENTORY --hosts=ansible://kube_node

Compared with what playbooks/compat.yml kept of the node in unshim_compat_dir while it ran Docker.
"""

import json
from pathlib import Path

import pytest
import yaml

from unshim.node_compat.registry import CHECKS

ROOT = Path(__file__).parents[2]
DEFAULTS = yaml.safe_load((ROOT / "roles/unshim/defaults/main.yml").read_text())
LOOKED = {}  # by node: one look serves all tests


@pytest.fixture
def looked(host):
    """What the module node_compat returned of this node."""
    name = host.backend.get_pytest_id()
    if name not in LOOKED:
        variables = {**DEFAULTS, **host.ansible.get_variables()}
        arguments = {
            "kubeconfig": variables["unshim_kubeconfig"],
            "context": variables["unshim_kube_context"],
            "node_name": variables["unshim_node_name"] or variables["inventory_hostname"],
            "image": variables["unshim_canary_image"],
            "more_images": variables["unshim_compat_images"],
            "namespace": variables["unshim_canary_namespace"],
            "cri_endpoint": variables["unshim_cri_endpoint"],
            "directory": variables["unshim_compat_dir"],
        }
        try:
            LOOKED[name] = host.ansible("node_compat", json.dumps(arguments), check=False, become=True)
        except host.ansible.AnsibleException as error:  # it fails where something is broken; the tests say what
            LOOKED[name] = error.result
    assert "results" in LOOKED[name], LOOKED[name].get("msg")
    return {result["id"]: result for result in LOOKED[name]["results"]}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_check(looked, check):
    result = looked[check.id]
    if result["outcome"] == "not-shown":
        pytest.skip(result["evidence"])
    print(f"{result['outcome']}: {result['evidence']}")
    again = result["outcome"] == "broken" and result["before"] == "broken"
    assert again or result["outcome"] in ("ok", "differs"), f"{check.title}: {result['evidence']} ({check.guards})"
