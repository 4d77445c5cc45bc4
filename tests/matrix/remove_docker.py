"""Runs on a machine, packed with the project's code by conftest.program: remove Docker's packages as a commit does."""

import json

from unshim_node import docker_remove

packages = docker_remove.installed()
docker_remove.check_packages(packages)
kept = docker_remove.keep_packages(check_mode=False)
docker_remove.remove_packages(packages, "/var/lib/docker")
print(
    json.dumps(
        {
            "removed": packages,
            "kept": kept,
            "left": docker_remove.installed(),
            "again": docker_remove.keep_packages(True),
        }
    )
)
