#!/usr/bin/python
"""Documentation of the action plugin migration_plan, which does the work on the controller."""

DOCUMENTATION = r"""
module: migration_plan
short_description: Plan what changes on a node, without contacting it
description:
  - From the facts of M(runtime_facts) and the settings, works out everything that will change on a node that leaves
    Docker for containerd, what will not be carried over and why, and what blocks it.
  - Runs on the controller and changes nothing. The modules that change the node take their parts of the plan, with
    what was seen (C(before)) and what is wanted (C(after)), and refuse a node that changed meanwhile.
author: unshim contributors
options:
  announced:
    description: This is the plan that a report is to tell of; each later look makes a new one, of what is left.
    type: bool
    default: false
  facts:
    description: What was seen on the node; RV(ignore:ansible_facts.runtime) if not given.
    type: dict
  settings:
    description: The settings; each has a default that is safe to leave.
    type: dict
    default: {}
    suboptions:
      goal:
        description: V(migrate) moves a kubelet off Docker; V(provision) readies a node without Kubernetes.
        type: str
        choices: [migrate, provision]
        default: migrate
      node_name:
        description: Name of the Kubernetes node; empty means as its kubelet registers.
        type: str
        default: ""
      cri_endpoint:
        description: CRI endpoint the kubelet will use.
        type: str
        default: unix:///run/containerd/containerd.sock
      containerd_package:
        description: Package that brings containerd; empty means the distribution's, or the installed one.
        type: str
        default: ""
      containerd_version:
        description: Package version to install; empty means the installed one, else the candidate.
        type: str
        default: ""
      containerd_method:
        description: Where containerd comes from on a node that has none.
        type: str
        choices: [package, docker_repo, archive]
        default: package
      containerd_archives:
        description: Release archives, as M(containerd_install) takes them.
        type: list
        elements: dict
        default: []
      docker_repository_url:
        description: Base address of Docker's repository or a mirror; empty means Docker's own.
        type: str
        default: ""
      docker_repository_key:
        description: Key of that repository, a URL or a file on the controller; empty means the C(gpg) beside its packages.
        type: str
        default: ""
      docker_repository_fingerprint:
        description: Fingerprint the key must have; empty means Docker's for Docker's own repository, and any for another.
        type: str
        default: ""
      containerd_root:
        description: Directory for containerd's data; empty means where it is, or Docker's disk if only there is room.
        type: str
        default: ""
      cgroup_driver:
        description: For V(provision) only; a kubelet's own always wins.
        type: str
        default: ""
      sandbox_image:
        description: For V(provision) only; a kubelet's own always wins.
        type: str
        default: ""
      stop_foreign_containers:
        description: Names of containers that are not Kubernetes' and may be stopped with Docker.
        type: list
        elements: str
        default: []
      no_proxy:
        description: More hosts, domains and networks that containerd must reach without a proxy, where Docker has one.
        type: list
        elements: str
        default: []
      all_images:
        description: Move every image, not only those of the node's pods.
        type: bool
        default: false
extends_documentation_fragment:
  - unshim.attributes
  - unshim.action
attributes:
  diff_mode:
    details: Shows the planned change of every file; the content of secret ones is hidden.
"""

EXAMPLES = r"""
- name: Observe
  runtime_facts:

- name: Plan
  migration_plan:
    settings:
      stop_foreign_containers: [registry-cache]

- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ ansible_facts.runtime_plan | unshim_plan_text }}"
"""

RETURN = r"""
ansible_facts:
  description: Facts to add to the host.
  returned: always
  type: complex
  contains:
    runtime_plan:
      description: >-
        The plan: C(node), C(node_name), C(source), C(state), C(done), C(packages), C(files), C(units), C(images),
        C(annotations), C(findings), C(blockers), C(not_carried) and the kubelet's command line before and after.
      type: dict
    runtime_plan_announced:
      description: The same, with O(announced=true).
      type: dict
text:
  description: The plan for a reader.
  returned: always
  type: str
summary:
  description: The plan in one line.
  returned: always
  type: str
  sample: "w1: Docker (dockershim) -> containerd 1.6.20 (4 files, 4 units, 3 images)"
"""

if __name__ == "__main__":
    raise SystemExit("migration_plan runs on the controller, as an action plugin.")
