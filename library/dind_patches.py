#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/dind_patches.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: dind_patches
short_description: Write the patches that move users of Docker's socket to Docker-in-Docker
description:
  - Scans a cluster as M(workload_scan) does, and writes for each workload that mounts Docker's socket from its node the strategic
    merge patch that gives it a dockerd in the mode of O(settings). Nothing in the cluster is changed.
  - What a patch cannot do is said beside it.
author: unshim contributors
options:
  namespaces:
    description: Scan only these; empty means all.
    type: list
    elements: str
    default: []
  directory:
    description: Directory on the controller for the patches, one directory for each namespace.
    type: path
    required: true
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
  - unshim.dind
"""

EXAMPLES = r"""
- name: Write the patches
  dind_patches:
    settings:
      mode: sidecar
      image: registry.example/docker@sha256:0e0fa8a9cf0c2d9e3e2c1a55c5e6d5e0f9b3a4a3b2d6b9a1b6c3a6d0e1f2a3b4
    directory: patches
"""

RETURN = r"""
patches:
  description: Each workload that mounts the socket, with its patch and what is left to do.
  returned: success
  type: list
  elements: dict
  sample:
    - object: Deployment/ci/agent
      file: ci/deployment-agent.yml
      command: kubectl patch deployment agent -n ci --type strategic --patch "$(cat ci/deployment-agent.yml)"
      notes: []
text:
  description: The same for a terminal.
  returned: success
  type: str
problems:
  description: What of the cluster could not be read.
  returned: success
  type: list
  elements: str
  sample: []
"""
