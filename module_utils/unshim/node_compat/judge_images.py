"""Judgements on images: that they come, and where they are."""

from __future__ import annotations

from .model import NotShown, Observed, Verdict, broken, differs, ok


def pulls(now: Observed, before: Observed | None) -> Verdict:
    lines = now.text("pull.images").splitlines()
    failed = [line.partition(" ")[2] for line in lines if line.startswith("failed ")]
    if failed:
        return broken("; ".join(failed))
    return ok(f"asked their registries again: {', '.join(line.partition(' ')[2] for line in lines)}")


def by_digest(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("pull.digest")
    if seen.startswith("failed "):
        return broken(seen.removeprefix("failed "))
    return ok(seen)


def namespace(now: Observed, before: Observed | None) -> Verdict:
    if now.runtime != "containerd":
        raise NotShown("the node runs Docker")
    images = now.text("node.images").split()
    pods_on_docker = int(now.get("node.moby-tasks", "0"))
    if not images:
        return broken("containerd has no image in its namespace k8s.io")
    if pods_on_docker:
        return differs(f"{len(images)} names in k8s.io; {pods_on_docker} containers of Docker's own run beside")
    return ok(f"{len(images)} names in k8s.io; Docker has no container that runs")


def sandbox(now: Observed, before: Observed | None) -> Verdict:
    image = _sandbox_image(now)
    if image in now.text("node.images").split():
        return ok(image)
    return broken(f"{image} is not on the node: a pod cannot start while its registry is away")


def pinned(now: Observed, before: Observed | None) -> Verdict:
    image = _sandbox_image(now)
    if image in now.text("node.pinned").split():
        return ok(f"{image} is pinned")
    return broken(f"{image} is not pinned: the kubelet may delete it when the disk fills up")


def _sandbox_image(observed: Observed) -> str:
    if observed.runtime != "containerd":
        raise NotShown("the node runs Docker")
    image = observed.text("node.sandbox-image")
    if not image:
        raise NotShown("containerd's settings name none")
    return image
