#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/node_compat.py does the work, on the controller and the node.

DOCUMENTATION = r"""
---
module: node_compat
short_description: Show what pods notice of a node's container runtime
description:
  - Looks at the node, starts probe pods on it, cordoned or not, and makes named checks of what it sees. C(docs/compatibility.md)
    has them all, with what is different between Docker and containerd.
  - Run it while the node runs Docker, and again on containerd with the same O(directory). The second run compares.
  - A check is V(ok), V(differs) (as documented), V(broken), or V(not-shown) with the reason. The module fails if one is broken that
    was not broken before, after everything was tried and written.
  - The pods are always deleted; those that an interrupted run left behind are removed first. They stop by themselves after 15 minutes.
author: unshim contributors
options:
  node_name:
    description: Name of the Kubernetes node.
    type: str
    required: true
  image:
    description: Image of the probe pods, with busybox' commands; it is pulled again. Empty means that no pod is run.
    type: str
    default: ""
  more_images:
    description: Images to pull besides, one of each registry that matters.
    type: list
    elements: str
    default: []
  namespace:
    description: Namespace of the pods; it must allow host ports and the node's network, or those checks are not shown.
    type: str
    default: default
  quick:
    description: Make only the checks that need no pod.
    type: bool
    default: false
  cri_endpoint:
    description: CRI endpoint that is asked on a node that runs containerd.
    type: str
    default: unix:///run/containerd/containerd.sock
  directory:
    description: Directory on the controller for the results as JSON, JUnit and Markdown; empty means they are only returned.
    type: path
    default: ""
  compare_with:
    description: JSON of an earlier run on this node; empty means, on containerd, the one on Docker in O(directory), if it is there.
    type: path
    default: ""
  timeout:
    description: Seconds a pod may take to run, and to disappear.
    type: int
    default: 120
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
attributes:
  check_mode:
    details: It then runs no pod and writes nothing.
"""

EXAMPLES = r"""
- name: Keep what pods have on Docker, or compare once they are on containerd
  node_compat:
    node_name: worker-1
    image: docker.io/library/busybox:1.36
    directory: unshim-compat
"""

RETURN = r"""
results:
  description: Each check with its title, outcome, evidence, and its outcome in the earlier run.
  type: list
  elements: dict
  returned: when the node could be looked at
  sample:
    - id: C11
      title: A container has the limits it had
      outcome: broken
      evidence: "limits (soft hard) changed: open files 1048576 1048576 -> 1024 524288"
      before: not-shown
regressions:
  description: Checks that are broken and were not before.
  type: list
  elements: str
  returned: when the node could be looked at
count:
  description: How many checks came to what.
  type: dict
  returned: when the node could be looked at
text:
  description: The same for a terminal.
  type: str
  returned: when the node could be looked at
files:
  description: Paths of what was written, by form.
  type: dict
  returned: when the node could be looked at
  sample: {json: unshim-compat/worker-1.containerd.json}
msg:
  description: The same in one line.
  type: str
  returned: always
"""
