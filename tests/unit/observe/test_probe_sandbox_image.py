"""When the probe asks containerd for its default sandbox image: by the shell that runs it."""

import subprocess

import pytest

from unshim import observe


@pytest.mark.parametrize(
    ("config", "names_one"),
    [
        ('[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "registry.k8s.io/pause:3.2"\n', True),
        ("[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox='registry.k8s.io/pause:3.10'\n", True),
        ('# sandbox_image = "registry.k8s.io/pause:3.2"\n', False),
        ('sandbox_image = ""\n', False),
        ('sandboxes = "x"\n', False),
        ('sandbox_mode = "podsandbox"\n', False),
        ('disabled_plugins = ["cri"]\n', False),
        (None, False),
    ],
)
def test_a_file_that_names_a_sandbox_image_is_seen(tmp_path, config, names_one):
    path = tmp_path / "config.toml"
    if config is not None:
        path.write_text(config)
    script = observe.probe_script()
    script = f"{script[: script.rindex('main <')]}\nnames_sandbox_image {path}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode == 0) is names_one
