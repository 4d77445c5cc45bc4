#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/dind_secrets.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: dind_secrets
short_description: Make and rotate what Docker-in-Docker keeps secret
description:
  - Puts the proxy settings of dockerd and, in mode V(service), an authority and the certificates of dockerd and its clients into
    Secrets. A certificate is made anew when a third of its time is left; run it once a month.
  - Nothing of their content is returned.
author: unshim contributors
options:
  directory:
    description: Directory on the controller for C(dind-secrets.yml), which only its owner can read; empty means they go to the cluster.
    type: path
    default: ""
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
  - unshim.cluster
  - unshim.dind
"""

EXAMPLES = r"""
- name: See that the certificates are good
  dind_secrets:
    settings:
      mode: service
      image: registry.example/docker@sha256:0e0fa8a9cf0c2d9e3e2c1a55c5e6d5e0f9b3a4a3b2d6b9a1b6c3a6d0e1f2a3b4
"""

RETURN = r"""
certificate:
  description: Fingerprint of the server's certificate and of the authorities it trusts; empty in other modes.
  returned: success
  type: str
  sample: 1f0e3dad99908345
renewed:
  description: What was made anew, and why.
  returned: success
  type: dict
  sample: {dind-server-tls: it ends on 2027-03-01}
"""
