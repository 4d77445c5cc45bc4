"""Time the audit of a fleet against Ansible's own ways to look at it, in turn, on real SSH targets of this machine.

The targets share this machine's processors with the controller, and the probe's own work on them is most of what is timed;
the ratios say what the controller's side costs. Needs root, for the targets.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/audit"))

import sshd_farm
import yaml

BIN = Path(sys.executable).parent


def contestants(inventory: Path) -> dict[str, list[str | Path]]:
    adhoc: list[str | Path] = [BIN / "ansible", "-i", inventory, "all", "--become"]
    return {
        "deploys/audit.py": [sys.executable, ROOT / "deploys/audit.py", "-i", inventory, "--timeout", "900"],
        "ansible -m runtime_facts": [*adhoc, "-m", "runtime_facts"],
        "ansible -m setup": [*adhoc, "-m", "setup"],
        "pyinfra exec true": [
            BIN / "pyinfra",
            "-y",
            "--parallel",
            "50",
            pyinfra_inventory(inventory),
            "exec",
            "--",
            "true",
        ],
    }


def pyinfra_inventory(inventory: Path) -> Path:
    """Write the same targets as pyinfra's own command takes them, the least that it can do with a fleet."""
    hosts = yaml.safe_load(inventory.read_text())["all"]
    common = hosts["vars"]
    data = [
        (
            name,
            {
                "ssh_hostname": common["ansible_host"],
                "ssh_port": own["ansible_port"],
                "ssh_user": common["ansible_user"],
                "ssh_key": common["ansible_ssh_private_key_file"],
                "ssh_strict_host_key_checking": "no",
                "ssh_known_hosts_file": "/dev/null",
            },
        )
        for name, own in hosts["children"]["kube_node"]["hosts"].items()
    ]
    path = inventory.with_name("inventory_of_pyinfra.py")
    path.write_text(f"nodes = {data!r}\n")
    return path


def seconds(name: str, command: list[str | Path]) -> tuple[float, float]:
    """Return the time a run took, and the processor time of the controller's side of it."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_SSH_CONTROL_PATH_DIR": home}
        began, before = time.perf_counter(), os.times()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
        took, after = time.perf_counter() - began, os.times()
    # The audit ends with the severity: these machines have no kubelet, which blocks.
    if done.returncode != (2 if name.startswith("deploys") else 0):
        sys.exit(f"{name} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return took, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with sshd_farm.farm(up=options.nodes) as fleet:
        # Connections are shared as with ansible.cfg's own settings.
        inventory = fleet.inventory(
            {f"n{number:03}": {"ansible_port": port} for number, port in enumerate(fleet.up)},
            ansible_ssh_common_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        )
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants(inventory)}
        for _ in range(options.rounds):
            for name, command in contestants(inventory).items():
                taken[name].append(seconds(name, command))
    print(f"{options.nodes} SSH targets on this machine, medians of {options.rounds}, whole runs, 50 at a time:")
    base = statistics.median(took for took, _ in taken["deploys/audit.py"])
    for name, runs in taken.items():
        took, spent = (statistics.median(values) for values in zip(*runs, strict=True))
        print(
            f"  {name:26} {took:7.1f} s, {took / base:4.1f} times the audit; {spent:6.1f} s of the controller's processors"
        )


if __name__ == "__main__":
    main()
