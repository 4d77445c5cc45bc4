#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/rollout_order.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: rollout_order
short_description: Say which nodes move in this run, in which order and batches
description:
  - Nodes that are done are left out. Workers that an earlier run left half-way come first and together, then a canary and growing
    batches of the others, then the control plane.
  - Asks the API server once, for the nodes that an earlier run has closed; not at all if every node is done.
author: unshim contributors
options:
  members:
    description: The hosts of the run, in the order of the inventory.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Ansible's name of the host.
        type: str
        required: true
      node:
        description: Name of the Kubernetes node.
        type: str
        required: true
      state:
        description: The node's state, from its plan.
        type: str
        default: docker
      done:
        description: There is nothing to do on it.
        type: bool
        default: false
      control_plane:
        description: It belongs to the control plane.
        type: bool
        default: false
  batches:
    description: Sizes of the batches of workers, numbers or per cents; the last one repeats.
    type: raw
    required: true
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
"""

EXAMPLES = r"""
- name: Choose who moves
  rollout_order:
    kubeconfig: "{{ unshim_kubeconfig }}"
    members:
      - {host: worker1, node: worker-1}
      - {host: worker2, node: worker-2, done: true}
    batches: [1, "10%", "25%"]
"""

RETURN = r"""
workers:
  description: Workers to move, in order.
  returned: success
  type: list
  elements: str
sizes:
  description: Sizes of their batches.
  returned: success
  type: list
  elements: int
  sample: [1, 2, 5]
control_plane:
  description: Nodes of the control plane to move, in order.
  returned: success
  type: list
  elements: str
half_way:
  description: Those of both that an earlier run left half-way.
  returned: success
  type: list
  elements: str
done:
  description: Hosts that have nothing left to do.
  returned: success
  type: list
  elements: str
text:
  description: The order for a reader.
  returned: success
  type: str
msg:
  description: What was found, in a sentence.
  returned: always
  type: str
"""
