"""Rules for what names Docker as the runtime of a pod: runtime classes, AppArmor profiles, images in Docker's oldest format."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Hit, Json, Rule, ScanSettings
from .pod_specs import PodSpec

SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
)
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
RULES = (
    Rule(
        "runtimeclass-docker",
        "block",
        "is a runtime class with the handler docker",
        "dockershim took this name for its own runtime; containerd has no such handler, so pods of the class do not start.",
        "Take the class out of the pods, or give them one with the handler runc, before the first node moves.",
        "kubernetes 1.20 pkg/kubelet/dockershim/docker_sandbox.go, runtimeName",
    ),
    Rule(
        "apparmor-docker-default",
        "warn",
        "asks for the AppArmor profile docker-default",
        "dockerd loads this profile when it starts; after a reboot without Docker the kernel has none of that name, and the pod is "
        "refused.",
        "Use runtime/default.",
        "moby profiles/apparmor, daemon/apparmor_default.go; kubernetes.io/docs/tutorials/security/apparmor",
    ),
    Rule(
        "schema1-image",
        "block",
        "has an image that its registry only has as schema 1",
        "containerd 2.0 does not pull such images unless told to, and 2.1 cannot; 1.x converts them and warns.",
        "Push the image again with a current Docker, BuildKit or skopeo, then use that name.",
        "containerd docs/containerd-2.0.md; containerd RELEASES.md (Docker Schema 1)",
    ),
)


def check_pod(pod: PodSpec, settings: ScanSettings) -> Iterator[Hit]:
    for name, value in pod.annotations.items():
        if str(name).startswith(APPARMOR) and value == "localhost/docker-default":
            yield Hit("apparmor-docker-default", (*pod.annotations_path, str(name)), str(value))
    for path, spec in ((pod.path, pod.spec), *((one.path, one.spec) for one in pod.containers)):
        context = spec.get("securityContext")
        profile = context.get("appArmorProfile") if isinstance(context, dict) else None
        if isinstance(profile, dict) and profile.get("localhostProfile") == "docker-default":
            yield Hit(
                "apparmor-docker-default",
                (*path, "securityContext", "appArmorProfile", "localhostProfile"),
                "docker-default",
            )
    for container in pod.containers:
        if settings.manifest_types.get(container.image) in SCHEMA_1:
            yield Hit("schema1-image", (*container.path, "image"), container.image)


def check_object(data: Json, _settings: ScanSettings) -> Iterator[Hit]:
    if data.get("kind") != "RuntimeClass":
        return
    # node.k8s.io/v1alpha1 has the handler in spec.runtimeHandler.
    spec = data.get("spec")
    if data.get("handler") == "docker":
        yield Hit("runtimeclass-docker", ("handler",), "docker")
    elif isinstance(spec, dict) and spec.get("runtimeHandler") == "docker":
        yield Hit("runtimeclass-docker", ("spec", "runtimeHandler"), "docker")
