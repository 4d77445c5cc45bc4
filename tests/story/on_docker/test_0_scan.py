"""The workload scan on the lab's cluster: all that is planted is found, no look-alike is, and the scan's own user is enough."""

import json
import subprocess
import sys
import time

import pytest
import rules_table
import yaml

FINDS, LOOKS_LIKE = "unshim.test/finds", "unshim.test/looks-like"
DATA = "tests/data/workloads"
MANIFESTS = "/etc/kubernetes/manifests"
NAMESPACED_SETS = ("planted", "harmless")


def objects(path):
    for one in yaml.safe_load_all(path.read_text()):
        yield from one["items"] if one["kind"] == "List" else [one]


def labelled(lab, label, *folders):
    """Return the rules that objects carry in an annotation, by object."""
    rules = {}
    for folder in folders:
        for path in sorted((lab.root / DATA / folder).iterdir()):
            for one in objects(path):
                meta = one["metadata"]
                scope = [] if one["kind"] in ("PersistentVolume", "RuntimeClass") else [meta["namespace"]]
                if label in meta.get("annotations", {}):
                    rules["/".join([one["kind"], *scope, meta["name"]])] = set(meta["annotations"][label].split())
    return rules


def found(report):
    rules = {}
    for one in report["findings"]:
        rules.setdefault(one["object"], set()).add(one["id"])
    return rules


@pytest.fixture(scope="module")
def planted(lab):
    """The planted set, its look-alikes, and a static pod of each kind on the first worker; none of it is left afterwards."""
    folder = lab.root / DATA
    worker = lab.workers[0]
    static = sorted((folder / "static").iterdir())
    try:
        lab.kubectl("apply", "-f", folder / "crds.yml", "-f", folder / "namespaces.yml")
        lab.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        lab.kubectl("apply", *(argument for name in NAMESPACED_SETS for argument in ("-f", folder / name)))
        lab.kubectl("apply", "-f", lab.root / "deploy/workload-scan-rbac.yml")
        for path in static:
            lab.on(
                worker,
                f"mkdir -p {MANIFESTS}; cat >{MANIFESTS}/{path.name} <<'END_OF_MANIFEST'\n{path.read_text()}\nEND_OF_MANIFEST\n",
            )
        deadline = time.monotonic() + 60
        while (
            time.monotonic() < deadline
            and len(lab.get("pods", "-n", "planted", f"--field-selector=spec.nodeName={worker}")["items"]) < 2
        ):
            time.sleep(1)
        yield lab
    finally:
        for path in static:
            lab.on(worker, f"rm -f {MANIFESTS}/{path.name}", check=False)
        for name in (*NAMESPACED_SETS, "namespaces.yml", "crds.yml"):
            subprocess.run(
                [lab.root / "build/lab/kubectl", "--kubeconfig", lab.root / lab.kubeconfig, "delete", "--ignore-not-found", "-f", folder / name],
                check=False, capture_output=True,
            )  # fmt: skip
        lab.kubectl("delete", "--ignore-not-found", "-f", lab.root / "deploy/workload-scan-rbac.yml")


@pytest.fixture(scope="module")
def scanned(planted):
    """What scan.yml says, as its report's JSON, and the run itself."""
    reports = planted.root / "build/story/scan"
    run = planted.playbook(
        "scan",
        "-e",
        f"unshim_scan_report_dir={reports}",
        "-e",
        f"unshim_scan_manifest_types={planted.root / DATA}/manifest_types.json",
    )
    return run, json.loads((reports / "findings.json").read_text())


@pytest.fixture(scope="module")
def scan_kubeconfig(planted, tmp_path_factory):
    """A kubeconfig of the user that deploy/workload-scan-rbac.yml makes, with a token of its own."""
    return planted.kubeconfig_of("unshim-workload-scan", tmp_path_factory.mktemp("scan") / "kubeconfig")


def command(lab, *arguments):
    done = subprocess.run(
        [sys.executable, "bin/unshim-scan", "--format", "json", "--manifest-types", f"{DATA}/manifest_types.json", *map(str, arguments)],
        cwd=lab.root, text=True, capture_output=True, check=False,
    )  # fmt: skip
    return done, json.loads(done.stdout)


def test_all_that_is_planted_is_found_and_no_look_alike(planted, scanned):
    run, report = scanned
    wanted = labelled(planted, FINDS, *NAMESPACED_SETS, "static")
    similar = labelled(planted, LOOKS_LIKE, *NAMESPACED_SETS, "static")
    mine = {key: rules for key, rules in found(report).items() if key in wanted or key in similar}
    false_findings = rules_table.write(planted.root / "build/story/workload-rules.md", wanted, similar, mine)
    assert mine == wanted and false_findings == 0
    assert run.code == 2 and "What blocks must be changed" in run.output


def test_the_labs_own_workloads_need_no_docker(planted, scanned):
    """Control plane, DNS, kube-proxy, the shop: look-alikes that somebody else made."""
    _, report = scanned
    wanted = labelled(planted, FINDS, *NAMESPACED_SETS, "static")
    others = {key: rules for key, rules in found(report).items() if key not in wanted}
    assert all(rules <= {"exec-probe-timeout"} for rules in others.values()), others


def test_static_pods_are_told_once_with_their_node_and_file(planted, scanned):
    _, report = scanned
    places = {(one["node"], one["file"]) for one in report["findings"] if "node-logger" in one["object"]}
    assert places == {(planted.workers[0], f"{planted.workers[0]}:{MANIFESTS}/node-logger.yaml")}


def test_the_same_manifests_give_the_same_findings(planted, scanned):
    _, report = scanned
    _, disk = command(planted, "--manifests", *(f"{DATA}/{name}" for name in (*NAMESPACED_SETS, "static")))
    keys = {one["object"] for one in disk["findings"]}
    assert {one["fingerprint"] for one in disk["findings"]} == {
        one["fingerprint"] for one in report["findings"] if one["object"] in keys
    }


def test_the_scans_own_user_sees_the_same_and_nothing_more(planted, scanned, scan_kubeconfig):
    done, report = command(planted, "--cluster", "--kubeconfig", scan_kubeconfig)
    assert report["problems"] == [] and done.returncode == 1
    wanted = labelled(planted, FINDS, *NAMESPACED_SETS)
    assert {key: rules for key, rules in found(report).items() if key in wanted} == wanted
    refused = subprocess.run(
        [planted.root / "build/lab/kubectl", "--kubeconfig", scan_kubeconfig, "get", "secrets", "-A"],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert refused.returncode != 0 and "forbidden" in refused.stderr
