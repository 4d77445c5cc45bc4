#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/node_runtime.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: node_runtime
short_description: Read what a Kubernetes cluster says about a node, or wait until it is Ready on a container runtime
description:
  - With O(state=present), reads the node; fails with the names of the cluster's nodes if there is none of that name.
  - With O(state=ready), waits until the node is Ready on O(runtime), and its own pods run there.
  - Does not believe what may be stale. A static pod counts only when the API shows container IDs of the runtime, and
    O(newer_than) rejects a Ready that was reported before the kubelet was restarted.
  - Sets annotations of the node, after the wait. In check mode it looks once and does not wait.
author: unshim contributors
options:
  state:
    description: What to do, see above.
    type: str
    choices: [present, ready]
    default: present
  runtime:
    description: The runtime the node must report.
    type: str
    choices: [containerd, docker]
    default: containerd
  timeout:
    description: Seconds to wait. An API server that is away meanwhile, as on a moving control plane, is waited for.
    type: int
    default: 300
  newer_than:
    description:
      - Unix time of the node's clock. The Ready condition must have been reported after it.
      - A kubelet reports it when it starts, so the moment of its restart is the right value. V(0) means any.
    type: float
    default: 0
  pods_back:
    description: Also wait until every static pod and every pod of a DaemonSet on the node runs on O(runtime).
    type: bool
    default: false
  static_pods_runtime:
    description: Also wait until every static pod on the node shows containers of this runtime; empty means no.
    type: str
    choices: ["", containerd, docker]
    default: ""
  before:
    description: The RV(pods) of an earlier run; a pod that did not run then is not waited for.
    type: dict
  known_as:
    description:
      - The RV(node) of an earlier run. If somebody has deleted the node since, and its kubelet has registered it anew, the new
        one gets the labels, annotations and taints it lacks, and is closed for pods as O(state=ready) found the old one.
      - Only with O(state=ready).
    type: dict
  annotations:
    description: Annotations the node shall have; null as a value removes one.
    type: dict
    default: {}
  api_timeout:
    description:
      - Seconds for which an API server that does not answer is asked again; if left out, 10, or O(timeout) with O(state=ready).
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.kubernetes
attributes:
  diff_mode:
    details: Shows the annotations that change.
"""

EXAMPLES = r"""
- name: Is the node known?
  node_runtime:
    node_name: worker-1

- name: Wait for it to be Ready on containerd with its own pods
  node_runtime:
    node_name: worker-1
    state: ready
    runtime: containerd
    pods_back: true
    annotations:
      kubeadm.alpha.kubernetes.io/cri-socket: unix:///run/containerd/containerd.sock
"""

RETURN = r"""
node:
  description: What the cluster says about the node.
  type: dict
  returned: success
  contains:
    name: {description: Its name., type: str, returned: success}
    uid: {description: The API's identity of it., type: str, returned: success}
    runtime: {description: The runtime it reports., type: str, returned: success, sample: docker}
    runtime_version: {description: That runtime's version., type: str, returned: success, sample: 20.10.24}
    kubelet_version: {description: The kubelet's version., type: str, returned: success, sample: 1.20.2}
    os_image: {description: The operating system., type: str, returned: success}
    addresses: {description: Addresses by type., type: dict, returned: success}
    pod_cidrs: {description: Address ranges of its pods., type: list, elements: str, returned: success}
    labels: {description: Its labels., type: dict, returned: success}
    annotations: {description: Its annotations before this module., type: dict, returned: success}
    taints: {description: Its taints., type: list, elements: dict, returned: success}
    unschedulable: {description: It is cordoned., type: bool, returned: success}
    is_control_plane: {description: It carries a control-plane label., type: bool, returned: success}
    ready: {description: Its Ready condition is True., type: bool, returned: success}
    conditions: {description: Its conditions by type., type: dict, returned: success}
annotations:
  description: The node's annotations before this module changed any; null for one of O(annotations) that was not there.
  type: dict
  returned: success
pods:
  description: The node's pods by name, for O(before).
  type: dict
  returned: success
missing:
  description: What the node does not show yet; empty after a wait that succeeded.
  type: list
  elements: str
  returned: when O(state=ready)
server:
  description: Address of the API server.
  type: str
  returned: success
seconds:
  description: How long the wait took.
  type: float
  returned: success
msg:
  description: What was found, in a sentence.
  type: str
  returned: always
"""
