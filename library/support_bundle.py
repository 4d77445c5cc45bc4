#!/usr/bin/python
"""Documentation of the action plugin support_bundle, which does the work on the controller."""

DOCUMENTATION = r"""
---
module: support_bundle
short_description: Collect what tells why a node's move failed into one directory on the controller
description:
  - Makes a directory of its own below O(directory), for the user alone, with the failed task and its result, the node's
    journal and plan, what M(node_evidence) finds (the last lines of the logs of the kubelet, containerd and Docker, the
    state of units, containers and changed files), and what the cluster says about the node.
  - Passwords, tokens and keys are hidden.
  - Never fails, also when the node or the API server cannot be reached; what is missing is said in its RV(missing).
  - Changes nothing on the node.
author: unshim contributors
options:
  directory:
    description: Directory on the controller that bundles are made in.
    type: path
    required: true
  node_name:
    description: Name of the Kubernetes node.
    type: str
    default: ''
  failed_task:
    description: Name of the task that failed.
    type: str
    default: ''
  cause:
    description: Why it failed, in a sentence.
    type: str
    default: ''
  result:
    description: The whole result of that task.
    type: dict
    default: {}
  facts:
    description: The node's facts, as of M(runtime_facts). They tell which words are secret.
    type: dict
    default: {}
  plan:
    description: The node's plan, as of M(migration_plan).
    type: dict
    default: {}
  endpoint:
    description: The CRI endpoint on the node.
    type: str
    default: unix:///run/containerd/containerd.sock
  kubeconfig:
    description: Kubeconfig on the controller; empty means E(KUBECONFIG), else C(~/.kube/config).
    type: path
    default: ''
  context:
    description: Context in the kubeconfig; empty means its current one.
    type: str
    default: ''
  lines:
    description: How many lines of each log.
    type: int
    default: 300
  seconds:
    description: Seconds after which no further piece of the node is asked for.
    type: int
    default: 40
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.journal
attributes:
  check_mode:
    details: In check mode nothing is collected.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: Each run makes a directory of its own.
"""

EXAMPLES = r"""
- name: Collect what tells why
  support_bundle:
    directory: unshim-bundles
    node_name: worker-1
    failed_task: "{{ ansible_failed_task.name }}"
    cause: "{{ ansible_failed_result.msg }}"
    result: "{{ ansible_failed_result }}"
"""

RETURN = r"""
path:
  description: The directory that was made; empty if none could be.
  returned: always
  type: str
  sample: unshim-bundles/20261124T173447Z-worker-1
missing:
  description: What could not be collected, and why.
  returned: always
  type: list
  elements: str
  sample: ["the node's own part: it could not be reached"]
"""
