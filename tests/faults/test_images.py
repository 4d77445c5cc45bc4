"""Faults around images: no disk left for them, and a sandbox image that is nowhere."""

import pytest
from images_left import FORGET

CONTENT = "/var/lib/containerd/io.containerd.content.v1.content"
SMALL = f"""
{FORGET}
mkdir -p /run/lab-small /var/lib/unshim
mount -t tmpfs -o size=64m tmpfs /run/lab-small
mkdir -p /run/lab-small/content /run/lab-small/unshim
cp -a {CONTENT}/. /run/lab-small/content
cp -a /var/lib/unshim/. /run/lab-small/unshim
mount --bind /run/lab-small/content {CONTENT}
mount --bind /run/lab-small/unshim /var/lib/unshim
"""
# The journal goes to the disk before its mount does.
NORMAL = f"""
mountpoint -q /run/lab-small || exit 0
{FORGET}
mkdir -p /run/lab-disk
mount --bind / /run/lab-disk
rm -rf /run/lab-disk/var/lib/unshim/*
cp -a /run/lab-small/unshim/. /run/lab-disk/var/lib/unshim
umount /run/lab-disk {CONTENT} /var/lib/unshim /run/lab-small
"""


@pytest.mark.fault(9, "disk full during the image import")
@pytest.mark.representative
def test_disk_full(fault):
    """The journal is on the file system that fills, so it cannot grow either."""
    fault.undo(lambda: fault.on("mount -o remount,size=2g /run/lab-small"))
    fault.on(SMALL)
    # Looked at, containerd's directory has room: it is the one below it that fills.
    fault.injected("while images came to containerd, which had been seen to have room")
    run = fault.migrate()
    fault.failed(run, "free some space", "no space left on device")
    fault.safe("docker")
    fault.keeps_data()
    assert fault.lab.journal(fault.victim)["state"] == "docker"
    fault.remove_cause()
    fault.rerun()
    fault.lab.back_to_docker(fault.victim)
    fault.on(NORMAL)


@pytest.mark.fault(12, "the sandbox image is missing, and there is no registry")
def test_sandbox_image_missing(fault):
    """Somebody clears images while the pods leave, and the registry is away: containerd could start no pod."""
    image = fault.on("docker images --format '{{.Repository}}:{{.Tag}}' | grep /pause:").split()[0]
    address = fault.lab.address(fault.lab.registry)
    rule = f"OUTPUT -d {address} -p tcp --dport 5000 -j REJECT"
    fault.on(f"iptables -w -I {rule}")
    fault.undo(lambda: fault.on(f"iptables -w -D {rule}"))
    run = fault.start()
    run.wait_for_task("drain : Cordon the node and evict its pods")
    fault.on(
        f"ctr -n k8s.io images ls -q | grep -e /pause -e '^sha256:' | xargs ctr -n k8s.io images rm; ! ctr -n k8s.io images ls -q | grep -F {image}"
    )
    fault.injected("during the drain")
    fault.failed(run.finish(), image, "put back on Docker")
    fault.safe("docker")
    fault.keeps_data()
    # The registry is still away: Docker has the image.
    fault.rerun()
    fault.remove_cause()


@pytest.mark.fault(None, "the sandbox image is in neither store")
def test_sandbox_image_in_neither_store(fault):
    image = fault.on("docker images --format '{{.Repository}}:{{.Tag}}' | grep /pause:").split()[0]
    fault.on(FORGET)
    address = fault.lab.address(fault.lab.registry)
    rule = f"OUTPUT -d {address} -p tcp --dport 5000 -j REJECT"
    fault.on(f"iptables -w -I {rule}; docker tag {image} lab-kept:1; docker rmi --force --no-prune {image}")
    fault.undo(
        lambda: fault.on(f"iptables -w -D {rule}; docker tag lab-kept:1 {image}; docker rmi --no-prune lab-kept:1")
    )
    fault.failed(fault.migrate(), image)
    fault.safe("docker")
    fault.remove_cause()
    fault.keeps_data()
    fault.rerun()
