#!/usr/bin/python
# The documentation of the action of the same name: action_plugins/runtime_facts.py does the work, on the controller.

DOCUMENTATION = r"""
---
module: runtime_facts
short_description: Observe a node's container runtimes and kubelet
description:
  - Looks at everything that matters when a Kubernetes node moves from Docker to containerd - operating system, systemd
    units, packages, the kubelet with the files its flags come from, Docker, containerd, registries, CNI, file systems and
    kernel - and returns it as C(ansible_facts.runtime).
  - It runs one POSIX shell script in one round trip, needs no Python on the node, and changes nothing. Docker is asked only
    where it runs already; its socket is never woken.
  - Private keys, registry logins in V(/root/.docker/config.json) and kubeconfigs stay on the node. Configuration files are
    returned as they are; a proxy's or registry's password that is written in one is therefore part of the result. Like
    M(ansible.builtin.setup), the result is not printed by C(-v).
options: {}
notes:
  - Run it as root (C(become)). As another user it returns what that user may see, and names the rest in
    C(ansible_facts.runtime.not_seen).
  - The controller needs Python 3.11 or later with C(cattrs).
author: unshim contributors
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
attributes:
  check_mode:
    details: Does the same with C(--check), as it changes nothing.
  diff_mode:
    support: none
    details: There is nothing to show, as it changes nothing.
"""

EXAMPLES = r"""
- name: Observe the node
  become: true
  runtime_facts:

- name: Show what the kubelet runs on
  ansible.builtin.debug:
    msg: "kubelet {{ ansible_facts.runtime.kubelet.version }}, Docker {{ ansible_facts.runtime.docker.version }}"
"""

RETURN = r"""
ansible_facts:
  description: What was observed.
  returned: success
  type: dict
  contains:
    runtime:
      description:
        - One node, in the shape of C(Facts) in C(module_utils/unshim/facts.py), where every field is described.
        - V(null) means that the probe could not see it, an empty string or list that there is nothing.
      type: dict
      sample:
        hostname: worker-1
        uid: 0
        os: {id: debian, version_id: "12", package_manager: apt, init: systemd}
        units: {docker.service: {active_state: active, unit_file_state: enabled}}
        docker: {installed: true, answers: true, version: 20.10.24, cgroup_driver: cgroupfs}
        containerd: {installed: true, answers: true, version: 1.6.20, cri_plugin: ok}
        kubelet: {version: 1.20.2, pid: 812, command_line: [/usr/bin/kubelet, --network-plugin=cni]}
        not_seen: []
elapsed:
  description: Seconds from asking the node to its answer.
  returned: success
  type: float
  sample: 1.4
"""
