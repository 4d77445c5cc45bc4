#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/rollout_gate.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: rollout_gate
short_description: Wait until a cluster is well enough for the next batch to move
description:
  - The batch may begin when no pause file is there, the run still holds its lock, every other node is Ready and none is left closed
    by a move that did not end, no disruption budget that its drains need allows nothing, and the other nodes have room for its pods.
  - While it must wait it prints the reason, whenever that changes and every 15 seconds. After O(timeout) it returns RV(may_begin=false)
    with the reason. Time that the pause file is there does not count.
author: unshim contributors
options:
  nodes:
    description: The Kubernetes nodes of the batch.
    type: list
    elements: str
    required: true
  name:
    description: What the batch is called in messages.
    type: str
    default: the batch
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
  pause:
    description: Seconds to wait in any case.
    type: int
    default: 0
  pause_file:
    description: File on the controller; while it is there, the batch waits.
    type: path
    default: ""
  may_be_down:
    description: Kubernetes nodes that need not be Ready.
    type: list
    elements: str
    default: []
  allow_no_room:
    description: Begin although the other nodes cannot take the pods.
    type: bool
    default: false
  force:
    description: As with M(node_drain); decides which pods leave.
    type: bool
    default: false
  delete_emptydir_data:
    description: As with M(node_drain); decides which pods leave.
    type: bool
    default: false
  lock:
    description: Ask that the lock of M(rollout_lock) is still this run's.
    type: bool
    default: true
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
"""

EXAMPLES = r"""
- name: Wait until the second batch may begin
  run_once: true
  rollout_gate:
    name: batch 2
    nodes: [worker-2, worker-3]
    pause_file: ~/.unshim/pause
"""

RETURN = r"""
may_begin:
  description: The batch may begin; always true in check mode.
  returned: success
  type: bool
reasons:
  description: Why it may not begin; in check mode, what it would wait for now.
  returned: success
  type: list
  elements: str
waited:
  description: Seconds it waited.
  returned: when the batch may begin
  type: float
msg:
  description: What was found, in a sentence.
  returned: always
  type: str
"""
