#!/usr/bin/python
"""Ansible module: ask a runtime over the CRI whether it is ready for a kubelet."""

DOCUMENTATION = r"""
---
module: cri_status
short_description: Prove that a container runtime answers the kubelet
description:
  - Asks the runtime over its CRI socket, in the API version the kubelet speaks, for its version and conditions, and
    whether images are present. Needs no crictl on the node.
  - Fails if a required condition is false or an image is missing after O(timeout).
author: unshim contributors
options:
  endpoint:
    description: The CRI endpoint, as the kubelet is given it.
    type: str
    default: unix:///run/containerd/containerd.sock
  api:
    description: The CRI versions the kubelet speaks, the preferred one first; one of them has to be served.
    type: list
    elements: str
    choices: [v1, v1alpha2]
    default: [v1, v1alpha2]
  require:
    description: Conditions that have to be true.
    type: list
    elements: str
    default: [RuntimeReady]
  images:
    description: Images that have to be present. Empty names are passed over.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to go on asking.
    type: float
    default: 30
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
attributes:
  check_mode:
    details: Changes nothing at any time. In check mode what is not ready is a warning, as steps before it did nothing.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Prove that containerd is ready and has the pause image
  cri_status:
    api: [v1alpha2]
    require: [RuntimeReady, NetworkReady]
    images: [registry.k8s.io/pause:3.6]
"""

RETURN = r"""
ready:
  description: Whether everything asked for is there. Only in check mode it can be false without the module failing.
  returned: success
  type: bool
  sample: true
cri:
  description: What the runtime said.
  returned: when it answered
  type: dict
  sample:
    api: v1
    runtime_name: containerd
    runtime_version: 1.6.20
    runtime_api_version: v1
    conditions:
      RuntimeReady: {status: true, reason: '', message: ''}
images_missing:
  description: Images of O(images) the runtime does not have.
  returned: when it answered
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import cri, cri_proof, module_run

ARGUMENTS = {
    "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "api": {"type": "list", "elements": "str", "choices": list(cri.APIS), "default": list(cri.APIS)},
    "require": {"type": "list", "elements": "str", "default": ["RuntimeReady"]},
    "images": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 30},
}


def act(module):
    if not module.check_mode:
        return cri_proof.ask(module.params)
    try:
        return cri_proof.ask(dict(module.params, timeout=0))
    except cri.CriError as error:
        module.warn("Not ready; outside check mode earlier steps may have made it so: " + error.message)
        return dict({"changed": False, "ready": False, "images_missing": [], "cri": {}}, **error.details)


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
