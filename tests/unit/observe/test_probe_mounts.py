"""Which mounts the probe takes for places of data: by the shell that runs it, on directories of the test's own."""

import subprocess

from unshim import observe


def data_mounts(*mounts):
    """Return the directories whose file systems would be told, of lines as in /proc/mounts."""
    script = observe.probe_script()
    calls = "\n".join(f"find_data_mount '{line}'" for line in mounts)
    script = (
        script[: script.rindex("main <")] + f"docker_root=/var/lib/docker\n{calls}\nprintf '%s\\n' \"$data_mounts\""
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_mounts_of_containers_are_no_places_of_data(tmp_path):
    """Each pod brings three; with all of them a probe of a node with thirty pods took several times as long."""
    state = tmp_path / "state"
    containers = [
        state / "io.containerd.runtime.v2.task/k8s.io/e5789b4cec90/rootfs",
        state / "io.containerd.grpc.v1.cri/sandboxes/c5419021cc1b/shm",
        state / "io.containerd.runtime.v1.linux/moby/483e0f95dfe0/rootfs",
    ]
    for directory in containers:
        directory.mkdir(parents=True)
    lines = [f"overlay {directory} overlay rw,relatime,lowerdir=/l 0 0" for directory in containers]
    assert data_mounts(*lines, f"/dev/sdb1 {state} ext4 rw 0 0") == [str(state)]
