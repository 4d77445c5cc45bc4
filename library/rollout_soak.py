#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/rollout_soak.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: rollout_soak
short_description: Watch nodes that have just moved
description:
  - For O(seconds), every node must stay Ready on O(runtime); then its static pods and the pods of its DaemonSets must run there.
  - Nodes that did not are returned, not failed, so that the others of a batch can go on.
author: unshim contributors
options:
  nodes:
    description: The Kubernetes nodes.
    type: list
    elements: str
    required: true
  seconds:
    description: How long they are watched.
    type: int
    default: 30
  runtime:
    description: The runtime they must report.
    type: str
    choices: [containerd, docker]
    default: containerd
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
"""

EXAMPLES = r"""
- name: Watch the nodes of a batch
  run_once: true
  rollout_soak:
    nodes: [worker-2, worker-3]
    seconds: 60
"""

RETURN = r"""
unwell:
  description: By node, what was wrong and whether it is Ready.
  returned: success
  type: dict
  sample: {worker-3: {reason: "Ready is Unknown (NodeStatusUnknown)", ready: false}}
msg:
  description: What was found, in a sentence.
  returned: always
  type: str
"""
