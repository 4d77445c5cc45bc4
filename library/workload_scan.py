#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/workload_scan.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: workload_scan
short_description: Find workloads that need Docker
description:
  - Reads every template and pod of a cluster, also those scaled to zero and suspended, its volumes, runtime classes and ConfigMaps,
    and the static pods of its nodes, and tells what will not work on a containerd node. No Secret is read.
  - What it looks for, rule by rule, and the form of the allow-list are in C(docs/scan.md).
author: unshim contributors
options:
  namespaces:
    description: Read only these, and what belongs to no namespace; empty means all.
    type: list
    elements: str
    default: []
  nodes:
    description: What is known of the nodes; the filter P(unshim_scanned_nodes#filter) makes it of their facts.
    type: list
    elements: dict
    default: []
    suboptions:
      node:
        description: Name of the Kubernetes node.
        type: str
        required: true
      docker_root:
        description: Docker's data directory there.
        type: str
        default: ""
      manifests:
        description: The files of its static pods, content by path.
        type: dict
        default: {}
      seen:
        description: Whether the node could be looked at; if not, the report says so.
        type: bool
        default: true
  allow_list:
    description: File on the controller with findings that may stay; empty means none may.
    type: path
    default: ""
  manifest_types:
    description: JSON file on the controller that has the media type of images' manifests; without it no image is taken for schema 1.
    type: path
    default: ""
  report_dir:
    description: Directory on the controller for the report as text, JSON, SARIF and JUnit; empty means it is only returned.
    type: path
    default: ""
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
attributes:
  check_mode:
    details: The scan itself changes nothing; no report is written.
"""

EXAMPLES = r"""
- name: Find what needs Docker
  workload_scan:
    allow_list: allowed.yml
  register: scanned
  run_once: true
"""

RETURN = r"""
report:
  description: The findings, as C(docs/schemas/findings.schema.json) describes them.
  returned: success
  type: dict
  sample:
    form: 1
    source: the cluster at https://10.0.0.1:6443
    count: {block: 1, warn: 0, info: 0}
    findings:
      - id: docker-socket-mount
        severity: block
        object: Deployment/ci/agent
        field: spec.template.spec.volumes[0].hostPath.path
        value: /var/run/docker.sock
text:
  description: The same for a terminal.
  returned: success
  type: str
msg:
  description: The same in one line.
  returned: always
  type: str
"""
