#!/usr/bin/python
"""Ansible module: install containerd's packages and nothing else."""

DOCUMENTATION = r"""
---
module: containerd_install
short_description: Install containerd, and upgrade or remove nothing unasked
description:
  - Installs packages after simulating the transaction. If it would remove or replace a package, or upgrade or downgrade one
    that was not asked for, the module refuses and names them.
  - A package that is installed stays in its version, unless another version is asked for.
  - Configuration files that exist are kept.
  - Gives the node Docker's package repository first, if O(repository) is given and the node does not have it. Its key is
    checked by its fingerprint, and bound to this repository only. If the installation is refused, it is taken away again.
  - Unpacks release archives of containerd, runc, the CNI plugins and crictl to directories of their own below C(/opt/unshim),
    after checking the SHA-256 of every one of them, and links the programs into C(/usr/local/bin). The versions used before
    stay beside them. CNI plugins are copied to C(/opt/cni/bin) where they are missing. A node without a
    C(containerd.service) gets one.
  - Notes the versions before and after in the node's journal.
author: unshim contributors
options:
  state:
    description:
      - V(present) installs.
      - V(restored) takes off the holds that O(hold) has put on packages; the packages stay, for Docker may use them, too.
    type: str
    choices: [present, restored]
    default: present
  packages:
    description:
      - The packages; the plan's C(packages) can be given as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the package.
        type: str
        required: true
      version:
        description: Exact version; empty means any, and the package manager's candidate if none is installed.
        type: str
        default: ''
        aliases: [after]
      before:
        description: The version the planner saw. Not used.
        type: str
        default: ''
      stage:
        description: The plan's stage. Not used.
        type: str
        default: prepare
      reason:
        description: Why the plan holds the package. Not used.
        type: str
        default: ''
  hold:
    description:
      - Keep the packages in their version, so that only an operator upgrades them; C(apt-mark hold), C(dnf versionlock) or
        C(zypper addlock). Where dnf lacks its plugin versionlock, a warning says so.
    type: bool
    default: false
  repository:
    description:
      - Docker's package repository; the plan's C(repository) can be given as it is.
    type: dict
    suboptions:
      url:
        description: Address of the repository. A node that names it in a file of its own keeps that.
        type: str
        required: true
      path:
        description: The file that will name it.
        type: path
        required: true
      content:
        description: What that file will say.
        type: str
        required: true
      key_path:
        description: The file the key is kept in.
        type: path
        required: true
      key:
        description: Where the key is; a URL that the node fetches, or a file on the controller.
        type: str
        required: true
      key_content:
        description: The key itself. Set by the action plugin for a file on the controller.
        type: str
      fingerprint:
        description: Fingerprint the key must have; empty means any.
        type: str
        default: ''
  archives:
    description:
      - Release archives; the plan's C(archives) can be given as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it holds.
        type: str
        choices: [containerd, runc, cni, crictl]
        required: true
      version:
        description: Its version, without a leading v.
        type: str
        required: true
      sha256:
        description: SHA-256 of the file. Another one is refused.
        type: str
        required: true
      url:
        description: Where the node fetches it.
        type: str
        default: ''
      src:
        description: The file on the controller, copied to the node and removed there afterwards.
        type: str
        default: ''
      path:
        description: The file on the node.
        type: str
        default: ''
notes:
  - Supports apt, dnf 4, dnf 5, yum 3 and zypper. yum 3 was not tried on a real system.
  - Packages, repository and archives stay when a node is rolled back.
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
  - unshim.journal
attributes:
  check_mode:
    details: The transaction is simulated; package lists that lack the version are not updated then, and archives are not
      fetched.
"""

EXAMPLES = r"""
- name: Install what the plan says
  containerd_install:
    packages: "{{ ansible_facts.runtime_plan.packages }}"
    repository: "{{ ansible_facts.runtime_plan.repository }}"
    archives: "{{ ansible_facts.runtime_plan.archives }}"

- name: Install and hold a certain version
  containerd_install:
    packages:
      - name: containerd.io
        version: 1.6.33-1
    hold: true

- name: Install a release archive that is on the controller
  containerd_install:
    archives:
      - name: containerd
        version: 2.1.9
        src: files/containerd-2.1.9-linux-amd64.tar.gz
        sha256: 4bd4ad7b1b6dcd4e0a0e1c2a8e39a4c5dfdb0e35ff0ad9e3a6b2c7a1b0c5d9e8
"""

RETURN = r"""
packages:
  description: Version of each package before and after, empty where it is not installed.
  returned: success
  type: dict
  sample: {"containerd": {"before": "", "after": "1.6.20~ds1-1+deb12u1"}}
also_installed:
  description: New packages the asked ones depend on, with their versions.
  returned: success
  type: dict
  sample: {"runc": "1.1.5+ds1-1+deb12u1"}
completed:
  description: Packages whose interrupted installation was completed first.
  returned: success
  type: dict
  sample: {"runc": "half configured"}
held:
  description: Packages that were put on hold; with O(state=restored), those whose hold was taken off.
  returned: success
  type: list
  elements: str
  sample: []
repository:
  description: The file that names the repository; empty if the node has none of it or had it already.
  returned: success
  type: str
  sample: /etc/apt/sources.list.d/docker.sources
archives:
  description: Directories that archives were unpacked to.
  returned: success
  type: list
  elements: str
  sample: [/opt/unshim/containerd-2.1.9]
links:
  description: Links that were changed, each with what it leads to before and after.
  returned: success
  type: dict
  sample: {"/usr/local/bin/containerd": {"before": "", "after": "/opt/unshim/containerd-2.1.9/bin/containerd"}}
plugins:
  description: CNI plugins that were copied.
  returned: success
  type: list
  elements: str
  sample: [bridge, host-local, loopback, portmap]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import containerd_install, module_run
from ansible.module_utils.unshim_node.errors import NodeError
from ansible.module_utils.urls import fetch_url

FETCH_TIMEOUT = 60  # s without a byte

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
    "packages": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "default": "", "aliases": ["after"]},
            "before": {"type": "str", "default": ""},
            "stage": {"type": "str", "default": "prepare"},
            "reason": {"type": "str", "default": ""},
        },
    },
    "hold": {"type": "bool", "default": False},
    "repository": {
        "type": "dict",
        "options": {
            "url": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "key_path": {"type": "path", "required": True},
            "key": {"type": "str", "required": True, "no_log": False},
            "key_content": {"type": "str", "no_log": False},
            "fingerprint": {"type": "str", "default": ""},
        },
    },
    "archives": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True, "choices": ["containerd", "runc", "cni", "crictl"]},
            "version": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "url": {"type": "str", "default": ""},
            "src": {"type": "str", "default": ""},
            "path": {"type": "str", "default": ""},
        },
    },
    "journal_root": module_run.JOURNAL_ROOT_OPTION,
}


def fetch(module, url):
    """Return the open response to a request for ``url``."""
    response, info = fetch_url(module, url, timeout=FETCH_TIMEOUT)
    if info["status"] != 200 or response is None:
        raise NodeError(
            "%s cannot be fetched: %s. Nothing was changed. Check the address, and that this node reaches it (through its "
            "proxy, if it has one)." % (url, info["msg"])
        )
    return response


def act(module):
    return containerd_install.act(module, lambda url: fetch(module, url))


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
