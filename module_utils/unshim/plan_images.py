"""The images that must be in containerd before the kubelet moves."""

from __future__ import annotations

import re

import yaml

from . import yaml_text
from .facts import Container, Image
from .kubelet_command_line import flag_value
from .plan_draft import MANIFESTS, Draft
from .plan_model import ImageMove


def full_name(reference: str) -> str:
    """Return a Docker reference as containerd names the image (distribution/reference, ParseDockerRef)."""
    name, _, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    if slash and (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        domain, path = first, rest
    else:
        domain, path = "docker.io", name
    domain = "docker.io" if domain == "index.docker.io" else domain
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    path, _, tag = path.partition(":")
    return f"{domain}/{path}@{digest}" if digest else f"{domain}/{path}:{tag or 'latest'}"


def is_kubernetes(container: Container) -> bool:
    """Return whether the kubelet made this container."""
    return "io.kubernetes.pod.name" in container.labels


def plan_images(draft: Draft) -> None:
    """Plan which of Docker's images go to containerd: those of this node's pods and static pods, the
    sandbox, and every image that no registry has."""
    docker = draft.facts.docker
    present = {full_name(name) for name in draft.facts.containerd.k8s_images}
    by_name: dict[str, Image] = {}
    for image in docker.images:
        by_name[image.id] = image
        by_name[image.id.removeprefix("sha256:")] = image
        by_name.update({full_name(name): image for name in (*image.tags, *image.digests) if "<none>" not in name})

    def find(reference: str) -> Image | None:
        if re.fullmatch(r"[0-9a-f]{12,63}", reference):  # the short form of an id, as `docker ps` prints it
            return next((image for image in docker.images if image.id.startswith(f"sha256:{reference}")), None)
        return by_name.get(reference) or by_name.get(full_name(reference))

    wanted: dict[str, Image] = {}
    sandbox = find(draft.sandbox_image) if draft.sandbox_image else None
    if sandbox:
        wanted[sandbox.id] = sandbox
    elif draft.sandbox_image and docker.answers and full_name(draft.sandbox_image) not in present:
        draft.warn(
            "sandbox-image-absent",
            f"the sandbox image {draft.sandbox_image} is neither in Docker nor in containerd, so it must be pulled",
            "Pull it on the node first if its registry may be out of reach.",
        )
    references = [container.image for container in docker.containers if is_kubernetes(container)]
    if docker.answers:
        references += _static_pod_images(draft)
    # Built or loaded here, so no registry gave it a digest: a pod that comes to this node later could not pull it.
    references += [image.id for image in docker.images if image.tags and not image.digests]
    if draft.settings.all_images:
        references += [image.id for image in docker.images]
    nameless = []
    for reference in references:
        found = find(reference)
        if found is None:
            if docker.answers and full_name(reference) not in present:
                draft.note(
                    "image-absent", f"image {reference} is not in Docker's store and will be pulled when it is needed"
                )
        else:
            wanted.setdefault(found.id, found)
    for image in wanted.values():
        names = tuple(name for name in (*image.tags, *image.digests) if "<none>" not in name)
        if not names:
            nameless.append(image.id)
        elif not {full_name(name) for name in names} <= present:
            draft.images.append(ImageMove(image.id, names, image.size, sandbox is not None and image.id == sandbox.id))
    for id in nameless:
        if not draft.settings.all_images:
            draft.warn(
                "image-without-name",
                f"image {id} of a running pod has no name any more, so it cannot be moved; its pod must pull its image",
            )
    draft.images.sort(key=lambda move: (not move.pinned, move.names))


def _static_pod_images(draft: Draft) -> list[str]:
    path = draft.kubelet_config.get("staticPodPath") or flag_value(draft.argv, "pod-manifest-path") or MANIFESTS
    found: list[str] = []
    for name, file in sorted(draft.facts.files.items()):
        if (
            not name.startswith(f"{str(path).rstrip('/')}/")
            or not name.endswith((".yaml", ".yml", ".json"))
            or not file.content
        ):
            continue
        try:
            data = yaml_text.load(file.content)
            spec = data["spec"]
            containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
            found += [container["image"] for container in containers if isinstance(container["image"], str)]
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
            draft.note(
                "static-pod-not-understood", f"{name} is not a pod that unshim can read; its images are not looked for"
            )
    return found


def human_size(size: int) -> str:
    """Return bytes as a person reads them, in powers of 1024."""
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"
