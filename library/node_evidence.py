#!/usr/bin/python
"""Ansible module: what a node can tell of a failure."""

DOCUMENTATION = r"""
---
module: node_evidence
short_description: Collect what a node can tell of a failure
description:
  - Returns the journal of the node's move, the last lines of the logs of the kubelet, containerd and Docker, and the state
    of units, containers, changed files and disks.
  - Reads only, and in bounded time; what cannot be had is replaced by the reason. Files' contents are not in it, logs are
    as they are. M(support_bundle) hides secrets in it and writes it to the controller.
author: unshim contributors
options:
  endpoint:
    description: The CRI endpoint.
    type: str
    default: unix:///run/containerd/containerd.sock
  lines:
    description: How many lines of each log.
    type: int
    default: 300
  seconds:
    description: Seconds after which no further piece is begun.
    type: int
    default: 40
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.journal
attributes:
  check_mode:
    details: Changes nothing at any time.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Ask the node what happened
  node_evidence:
    lines: 100
  register: evidence
"""

RETURN = r"""
pieces:
  description: By file name, a text, or data where the name ends in C(.json).
  returned: success
  type: dict
  sample: {uptime.txt: " 10:00:00 up 3 days, 1 user, load average: 0.10, 0.20, 0.30"}
left_out:
  description: What was not begun, since the time was over.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import evidence, module_run

ARGUMENTS = {
    "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
    "lines": {"type": "int", "default": 300},
    "seconds": {"type": "int", "default": 40},
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def act(module):
    params = module.params
    found = evidence.collect(params["lines"], params["seconds"], params["endpoint"], params["journal_root"])
    return dict(found, changed=False)


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
