"""What a node's facts say of its static pods, from a real node's and made ones; and what the playbook passes on."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from unshim import records
from unshim.facts import Docker, Facts, File, Kubelet
from unshim.workloads.model import ScanSettings
from unshim.workloads.scan import scan
from unshim.workloads.static_pods import ScannedNode, docker_roots, documents, node_of

ROOT = Path(__file__).parents[3]
PLANTED = (ROOT / "tests/data/workloads/static/node-logger.yaml").read_text()


def facts(files, *argv, root="/var/lib/docker"):
    return Facts(
        kubelet=Kubelet(command_line=("kubelet", *argv)),
        docker=Docker(root=root),
        files={path: File(path, "file", content) for path, content in files.items()},
    )


@pytest.mark.parametrize(
    ("argv", "config", "directory"),
    [
        ((), None, "/etc/kubernetes/manifests"),
        (("--pod-manifest-path=/srv/pods",), None, "/srv/pods"),
        (("--pod-manifest-path", "/srv/pods/"), "staticPodPath: /other\n", "/srv/pods"),
        ((), "staticPodPath: /srv/pods\n", "/srv/pods"),
        ((), "staticPodPath: [\n", "/etc/kubernetes/manifests"),
    ],
)
def test_the_directory_is_the_kubelets(argv, config, directory):
    files = {f"{directory}/a.yaml": PLANTED, "/elsewhere/b.yaml": PLANTED, f"{directory}/empty.yaml": ""}
    if config:
        files["/var/lib/kubelet/config.yaml"] = config
    assert list(node_of("w1", facts(files, *argv)).manifests) == [f"{directory}/a.yaml"]


def test_every_file_is_a_manifest_but_what_begins_with_a_dot():
    """As pkg/kubelet/config/file.go reads the directory: whatever a file is called, and no further down."""
    names = ("a.yaml", "b.json", "c.yaml.bak", "d", ".hidden.yaml", "deeper/e.yaml")
    files = {f"/etc/kubernetes/manifests/{name}": PLANTED for name in names}
    assert [path.rpartition("/")[2] for path in node_of("w1", facts(files)).manifests] == [
        "a.yaml",
        "b.json",
        "c.yaml.bak",
        "d",
    ]


def test_a_real_control_planes_static_pods_need_no_docker():
    recorded = json.loads((ROOT / "tests/data/probes/dockershim-control-plane.facts.json").read_text())
    node = node_of("cp1", records.from_data(Facts, recorded))
    assert len(node.manifests) == 4
    read, problems = documents([node])
    assert problems == [] and len(read) == 4
    findings, specs = scan(read)
    assert specs == 4 and findings == []


def test_a_finding_names_node_file_and_line():
    read, problems = documents([ScannedNode("w1", manifests={"/m/a.yaml": PLANTED, "/m/b.yaml": "a: [\n"})])
    assert [(problem.file, problem.line) for problem in problems] == [("w1:/m/b.yaml", 2)]
    findings, _ = scan(read)
    assert {(one.id, one.node, one.file) for one in findings} == {
        ("docker-socket-mount", "w1", "w1:/m/a.yaml"),
        ("docker-data-mount", "w1", "w1:/m/a.yaml"),
    }
    assert "static pod of node w1" in findings[0].message and findings[0].line == 15


def test_the_same_static_pod_of_two_nodes_is_found_on_both():
    nodes = [ScannedNode(name, manifests={"/m/a.yaml": PLANTED}) for name in ("w1", "w2")]
    findings, _ = scan(documents(nodes)[0])
    assert sorted((one.id, one.node) for one in findings) == [
        (rule, node) for rule in ("docker-data-mount", "docker-socket-mount") for node in ("w1", "w2")
    ]


def test_dockers_data_is_looked_for_where_any_node_has_it():
    roots = docker_roots([ScannedNode("a", "/data/docker"), ScannedNode("b", "/var/lib/docker"), ScannedNode("c")])
    assert roots == ("/var/lib/docker", "/data/docker")
    moved = PLANTED.replace("path: /var/lib/docker}", "path: /data/docker/containers}")
    read, _ = documents([ScannedNode("w1", manifests={"/m/a.yaml": moved})])
    assert "docker-data-mount" in {one.id for one in scan(read, ScanSettings(docker_roots=roots))[0]}


def test_the_filter_passes_on_what_was_seen_and_names_what_was_not():
    spec = spec_from_file_location("unshim_filters", ROOT / "filter_plugins/unshim.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    seen = records.to_data(facts({"/etc/kubernetes/manifests/a.yaml": PLANTED}, root="/data/docker"))
    hostvars = {
        "h1": {"ansible_facts": {"runtime": seen, "runtime_plan": {"node_name": "w1"}}},
        "h2": {},
        "h3": {"ansible_facts": {"runtime": seen}},
    }
    nodes = module.unshim_scanned_nodes(["h1", "h2", "h3"], hostvars)
    assert [(one["node"], one["seen"], one["docker_root"], len(one["manifests"])) for one in nodes] == [
        ("w1", True, "/data/docker", 1),
        ("h2", False, "", 0),
        ("h3", True, "/data/docker", 1),
    ]
    assert "unshim_scanned_nodes" in module.FilterModule().filters()
    _, problems = documents([records.from_data(ScannedNode, one) for one in nodes])
    assert [problem.message for problem in problems] == [
        "Node h2 could not be looked at: its static pods are known from the API only."
    ]
