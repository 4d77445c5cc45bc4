"""Faults of registries' credentials."""

import node_snapshot
import pytest

HOST = "shop.example:5000"
DIRECTORY = f"/etc/docker/certs.d/{HOST}"
# A client certificate whose key a secret store keeps in memory, as a link leads there.
CREDENTIALS = f"""
set -e
mkdir -p {DIRECTORY} /run/lab-secrets
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab -keyout /run/lab-secrets/client.key -out {DIRECTORY}/client.cert 2>/dev/null
chmod 0600 /run/lab-secrets/client.key
ln -s /run/lab-secrets/client.key {DIRECTORY}/client.key
"""


@pytest.mark.fault(29, "registry credentials cannot be read")
def test_credentials_unreadable(fault):
    fault.on(CREDENTIALS)
    fault.undo(lambda: fault.on(f"rm -rf /run/lab-secrets {DIRECTORY}; rmdir /etc/docker/certs.d; true"))
    before, fault.files = fault.files, node_snapshot.take(fault.lab, fault.victim)
    run = fault.start()
    run.wait_for_task("containerd : Install containerd")
    fault.on("mv /run/lab-secrets /run/lab-secrets-away")
    fault.injected("between the plan and the copy: what the link leads to is gone")
    output = run.finish()
    fault.failed(output, f"{DIRECTORY}/client.key", "is not a readable file")
    assert "PRIVATE KEY" not in output.output
    fault.safe("docker")
    fault.keeps_data()
    # As long as it is gone, the plan itself says so, and leaves it out.
    plan = fault.lab.run("plan", limit=fault.victim)
    assert f"{DIRECTORY}/client.key is a symlink to nothing" in " ".join(plan.output.split())
    fault.on("mv /run/lab-secrets-away /run/lab-secrets")
    fault.rerun()
    key = f"/etc/containerd/certs.d/{HOST}/client.key"
    assert fault.on(f"cmp {key} /run/lab-secrets/client.key && stat -c %a {key}").strip() == "600"
    fault.lab.back_to_docker(fault.victim)
    fault.remove_cause()
    fault.files = before
