#!/usr/bin/python
"""Move images from Docker's store into containerd."""

DOCUMENTATION = r"""
module: containerd_images
short_description: Move images from Docker to containerd in one stream
description:
  - Brings images that Docker has on this node into a containerd namespace, under every tag and every digest they have
    in Docker, so that pods find them with any image pull policy and nothing has to be pulled.
  - Only images that are missing or incomplete there are moved, by one C(docker save) that is piped into one
    C(ctr images import); a layer that several images share goes over once. With Docker 25 and newer, which cannot save
    several images by id, each image goes alone. Names alone that are missing are added.
  - An image counts as present only if the name leads to the same image id, all of its content is there and it is
    unpacked. A run that was cut short can be run again.
  - With O(future_root), the images go into the data directory that containerd will have later, while it and Docker's
    containers run on with the one they have. A second containerd without CRI works on it meanwhile, and ends with this
    module. If containerd has that directory already, it takes the images itself.
  - Docker's store is not changed, and a stopped Docker is never started.
author: unshim contributors
requirements:
  - C(docker) and C(ctr) on the node; with O(future_root) also C(unshare) of util-linux
options:
  images:
    description: The images to move, as in RV(ignore:ansible_facts.runtime_plan) under C(images).
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Image id in Docker, C(sha256:...).
        type: str
        required: true
      names:
        description:
          - Tags (C(name:tag)) and digests (C(name@sha256:...)), as Docker shows them.
          - An image without any is not moved.
        type: list
        elements: str
        required: true
      size:
        description: Size in bytes, for the result only.
        type: int
        default: 0
      pinned:
        description: Whether this is the sandbox image, which the kubelet must never collect.
        type: bool
        default: false
  namespace:
    description: The containerd namespace; that of the CRI plugin is C(k8s.io).
    type: str
    default: k8s.io
  socket:
    description: containerd's socket.
    type: path
    default: /run/containerd/containerd.sock
  root:
    description: containerd's data directory, where room for the images is looked for before anything is moved.
    type: path
    default: /var/lib/containerd
  future_root:
    description:
      - The data directory containerd will be given at the switch, as in RV(ignore:ansible_facts.runtime_plan) under
        C(containerd_root). Empty means that it keeps O(root).
      - It is made if it is not there. One that holds something else is refused.
    type: path
    default: ""
  snapshotter:
    description: The snapshotter to unpack the images for; empty means containerd's default, overlayfs.
    type: str
    default: ""
extends_documentation_fragment:
  - unshim.attributes
  - unshim.node
"""

EXAMPLES = r"""
- name: Move the images this node's pods use
  containerd_images:
    images: "{{ ansible_facts.runtime_plan.images }}"

- name: Bring them to another disk, where containerd will find them after its next start with root = "/data/containerd"
  containerd_images:
    images: "{{ ansible_facts.runtime_plan.images }}"
    future_root: /data/containerd

- name: Move one image
  containerd_images:
    images:
      - id: sha256:2d389e545974d4a93ebdef09b650753a55f72d1ab4518d17a30c0e1b3e297444
        names: ["nginx:1.25", "nginx@sha256:86e53c4c16a6a276b204b0fd3a8143d86547c967dc8258b3d47c3a21bb68d3c6"]
"""

RETURN = r"""
images:
  description: Each image and what was done with it.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Image id.
      type: str
      returned: always
    names:
      description: Its names in containerd.
      type: list
      elements: str
      returned: always
    status:
      description:
        - V(present), V(named) (its content was there, names were added), V(moved), or V(gone) (Docker has lost it).
      type: str
      returned: always
    size:
      description: Size in bytes, as given.
      type: int
      returned: always
root:
  description: The data directory the images are in.
  returned: success
  type: str
  sample: /var/lib/containerd
bytes:
  description: Bytes that went from Docker to containerd; 0 in check mode.
  returned: success
  type: int
layer_bytes:
  description: Bytes of the layers to move, each counted once.
  returned: success
  type: int
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.unshim_node import image_stream, journal, module_run, second_containerd

ARGUMENTS = {
    "images": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "size": {"type": "int", "default": 0},
            "pinned": {"type": "bool", "default": False},
        },
    },
    "namespace": {"type": "str", "default": "k8s.io"},
    "socket": {"type": "path", "default": "/run/containerd/containerd.sock"},
    "root": {"type": "path", "default": "/var/lib/containerd"},
    "future_root": {"type": "path", "default": ""},
    "snapshotter": {"type": "str", "default": ""},
}
NOTE = "containerd_root"  # the journal's, read by the planner: {"path", "images": {id: [name]}}


def move(module, store, root, where=""):
    """Bring the images into ``store``; ``where`` says it in the journal."""
    arguments = (module.params["images"], store, root)
    outcome = image_stream.move(*arguments, check_mode=True)
    if outcome["changed"] and not module.check_mode:
        record = journal.Journal.load()
        with record.step("move images to containerd" + where, "prepare", undo="nothing: Docker keeps its images"):
            outcome = image_stream.move(*arguments)
        outcome["warnings"] = record.warnings + outcome["warnings"]
        record.unlock()
    return outcome


def move_to_future_root(module, root):
    """Bring the images into a data directory that no containerd works on yet, and note in the journal what is there."""
    images = module.params["images"]
    if not images:
        outcome = image_stream.move([], image_stream.EmptyStore(), root, check_mode=True)
    elif module.check_mode and not os.path.exists(second_containerd.database(root)):
        second_containerd.check_directory(root)
        outcome = image_stream.move(images, image_stream.EmptyStore(), root, check_mode=True)
    else:
        with second_containerd.SecondContainerd(root) as second:
            store = image_stream.Store(second.socket, module.params["namespace"], module.params["snapshotter"])
            outcome = move(module, store, root, " in %s" % root)
    gone = {one["id"] for one in outcome["images"] if one["status"] == "gone"}
    record = journal.Journal.load(check_mode=module.check_mode)
    noted = record.get(NOTE) or {}
    known = dict(noted.get("images") or {}) if noted.get("path") == root else {}
    known.update({image["id"]: sorted(image["names"]) for image in images if image["id"] not in gone})
    changed = record.note(NOTE, {"path": root, "images": known})
    record.unlock()
    outcome["changed"] = outcome["changed"] or changed
    return outcome


def act(module):
    params = module.params
    others = journal.Journal.load(check_mode=module.check_mode)
    others.wait_for_others()
    others.unlock()
    future = params["future_root"]
    if future and os.path.realpath(future) not in second_containerd.roots_in_use():
        outcome = dict(move_to_future_root(module, future), root=future)
    else:
        store = image_stream.Store(params["socket"], params["namespace"], params["snapshotter"])
        root = future or params["root"]
        outcome = dict(move(module, store, root), root=root)
    for warning in outcome.pop("warnings"):
        module.warn(warning)
    return outcome


def main():
    module_run.run(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), act)


if __name__ == "__main__":
    main()
