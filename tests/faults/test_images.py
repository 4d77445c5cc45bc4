"""Faults around images: no disk left for them, and a sandbox image that is nowhere."""

import pytest

CONTENT = "/var/lib/containerd/io.containerd.content.v1.content"
SMALL = f"""
mkdir -p /run/lab-small /var/lib/unshim
mount -t tmpfs -o size=64m tmpfs /run/lab-small
mkdir -p /run/lab-small/content /run/lab-small/unshim
cp -a {CONTENT}/. /run/lab-small/content
mount --bind /run/lab-small/content {CONTENT}
cp -a /var/lib/unshim/. /run/lab-small/unshim
mount --bind /run/lab-small/unshim /var/lib/unshim
"""
# The content has to be where it is looked for afterwards, so it goes to the disk before its mount does.
LARGE = f"""
mountpoint -q {CONTENT} || exit 0
mkdir -p /run/lab-disk
mount --bind / /run/lab-disk 2>/dev/null
mount --bind /var/lib/containerd /run/lab-disk/mnt
for pair in "/run/lab-small/content /run/lab-disk/mnt/{CONTENT.removeprefix("/var/lib/containerd/")}" \\
    "/run/lab-small/unshim /run/lab-disk/var/lib/unshim"; do
  set -- $pair
  rm -rf "$2"/* && cp -a "$1"/. "$2"
done
umount /run/lab-disk/mnt /run/lab-disk {CONTENT} /var/lib/unshim /run/lab-small
"""


@pytest.mark.fault(9, "disk full during the image import")
@pytest.mark.representative
def test_disk_full(fault):
    """Another program takes the room while images arrive; the journal is on the same file system, so it cannot grow either."""
    fault.on(SMALL)
    fault.undo(lambda: fault.on("mount -o remount,size=2g /run/lab-small 2>/dev/null; rm -f /run/lab-small/full; true"))
    fault.injected("while images came to containerd, which had been seen to have room")
    # Seen with df, both have room: the file system of /var/lib/containerd is not the one that fills.
    run = fault.migrate()
    fault.failed(run, "no space left on device")
    fault.safe("docker")
    fault.keeps_data()
    assert fault.lab.journal(fault.victim)["state"] == "docker"
    fault.remove_cause()
    fault.undo(lambda: fault.on(LARGE))
    fault.rerun()
    fault.lab.back_to_docker(fault.victim)


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
