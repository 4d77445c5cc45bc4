#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/dind_manifests.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: dind_manifests
short_description: Render the objects of Docker-in-Docker for a cluster
description:
  - Looks at the cluster's version and the address ranges that it and its nodes use, and renders namespace, policies, accounts,
    configuration and pods for one of the modes V(sidecar), V(daemonset) and V(service).
  - No Secret is among them; those are M(dind_secrets)'.
author: unshim contributors
options:
  certificate:
    description: What M(dind_secrets) says of the server's certificate; a new one is a new pod.
    type: str
    default: ""
  directory:
    description: Directory on the controller for C(dind.yml); empty means the objects are only returned.
    type: path
    default: ""
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
  - unshim.dind
"""

EXAMPLES = r"""
- name: Render what the cluster gets
  dind_manifests:
    settings:
      mode: daemonset
      image: registry.example/docker@sha256:0e0fa8a9cf0c2d9e3e2c1a55c5e6d5e0f9b3a4a3b2d6b9a1b6c3a6d0e1f2a3b4
    directory: gitops/dind
"""

RETURN = r"""
manifests:
  description: The objects, in the order in which they are to be applied.
  returned: success
  type: list
  elements: dict
  sample: [{apiVersion: v1, kind: Namespace, metadata: {name: unshim-dind}}]
docker0:
  description: Address and prefix of docker0 in each dockerd.
  returned: success
  type: str
  sample: 172.17.0.1/24
pools:
  description: Range that networks of users are cut from.
  returned: success
  type: str
  sample: 172.17.128.0/17
iptables:
  description: The flavour that all nodes share, or V(auto).
  returned: success
  type: str
  sample: nft
notes:
  description: In what the nodes contradict each other.
  returned: success
  type: list
  elements: str
  sample: []
"""
