"""unshim-scan, run as a user runs it: on files, on standard input, and against an API server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted_data import DATA

ROOT = Path(__file__).parents[3]
TYPES = str(DATA / "manifest_types.json")


def run(*arguments, cwd=ROOT, stdin=None, **environment):
    command = [sys.executable, str(ROOT / "bin/unshim-scan"), *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def fingerprints(done):
    data = json.loads(done.stdout)
    return sorted(one["fingerprint"] for one in data["findings"])


def test_a_cluster_says_the_same_as_its_manifests(api_server, tmp_path):
    server = api_server()
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    cluster = run("--cluster", "--kubeconfig", kubeconfig, "--format", "json", "--manifest-types", TYPES)
    disk = run("--manifests", DATA / "planted", DATA / "harmless", "--format", "json", "--manifest-types", TYPES)
    assert (cluster.returncode, disk.returncode) == (1, 1)
    assert fingerprints(cluster) == fingerprints(disk) and len(fingerprints(disk)) > 50
    assert not any("secrets" in path or " " in path for path in server.asked)


def test_what_may_not_be_listed_is_told_and_the_rest_scanned(api_server, tmp_path):
    server = api_server(forbidden=["/api/v1/configmaps", "/apis/tekton.dev/v1beta1"])
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    done = run("--cluster", "--kubeconfig", kubeconfig, "--format", "json")
    problems = [one["message"] for one in json.loads(done.stdout)["problems"]]
    assert done.returncode == 2 and len(problems) == 2
    assert all("deploy/workload-scan-rbac.yml" in one for one in problems)
    assert "/api/v1/configmaps" in done.stderr and "Traceback" not in done.stderr
    kinds = {one["object"].partition("/")[0] for one in json.loads(done.stdout)["findings"]}
    assert "Deployment" in kinds and "ConfigMap" not in kinds and "Task" not in kinds


def test_one_namespace_and_what_belongs_to_none(api_server, tmp_path):
    kubeconfig = api_server().kubeconfig(tmp_path / "kubeconfig")
    done = run("--cluster", "--kubeconfig", kubeconfig, "--namespace", "harmless", "--format", "json")
    assert {one["object"] for one in json.loads(done.stdout)["findings"]} == {
        "PersistentVolume/planted-docker-socket",
        "RuntimeClass/planted-docker",
    }
    disk = run("--manifests", DATA / "planted", DATA / "harmless", "--namespace", "harmless", "--format", "json")
    assert fingerprints(disk) == fingerprints(done)


def test_a_cluster_that_does_not_answer_is_one_sentence(tmp_path):
    done = run("--cluster", "--kubeconfig", tmp_path / "none")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("unshim-scan: There is no kubeconfig at") and done.stderr.count("\n") == 1


def test_standard_input_and_a_broken_document():
    good = (DATA / "planted/runtime.yml").read_text()
    done = run(
        "--manifests", "-", "--format", "json", stdin=good + "---\na: [\n---\n" + (DATA / "planted/ci.yml").read_text()
    )
    data = json.loads(done.stdout)
    assert done.returncode == 2
    line = good.count("\n") + 3
    assert [(one["file"], one["line"]) for one in data["problems"]] == [("standard input", line)]
    assert f"unshim-scan: standard input:{line}: It is not valid YAML" in done.stderr
    assert {one["file"] for one in data["findings"]} == {"standard input"} and len(data["findings"]) > 5


@pytest.mark.parametrize(("fail_on", "code"), [("block", 0), ("warn", 0), ("info", 1), ("never", 0)])
def test_the_exit_code_is_as_asked(tmp_path, fail_on, code):
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: d, image: docker:dind}]}\n"
    (tmp_path / "a.yml").write_text(pod)
    assert run("--manifests", tmp_path, "--fail-on", fail_on).returncode == code


def test_an_allowed_finding_fails_nothing(tmp_path):
    (tmp_path / "allow.yml").write_text(
        "allow:\n  - {rule: runtimeclass-docker, object: RuntimeClass/*, reason: goes with the old nodes, expires: 2999-01-01}\n"
    )
    (tmp_path / "m").mkdir()
    (tmp_path / "m/a.yml").write_text(
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: old}\nhandler: docker\n"
    )
    refused = run("--manifests", "m", cwd=tmp_path)
    allowed = run("--manifests", "m", "--allow-list", "allow.yml", cwd=tmp_path)
    assert (refused.returncode, allowed.returncode) == (1, 0)
    assert "RuntimeClass/old (m/a.yml:4)" in refused.stdout
    assert "RuntimeClass/old runtimeclass-docker: goes with the old nodes (until 2999-01-01)" in " ".join(
        allowed.stdout.split()
    )


def test_what_is_read_below_a_directory(tmp_path):
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {volumes: [{name: s, hostPath: {path: /run/docker.sock}}]}\n"
    for name in ("a.yaml", "deep/er/b.yml", "c.txt", ".git/d.yml", "deep/e.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pod % name.replace("/", "-"))
    (tmp_path / "package.json").write_text("{// not strict\n}")
    (tmp_path / "deep/loop").symlink_to(tmp_path)
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "latin1.yml").write_bytes(b"a: b\nc: \xe9\n")
    done = run("--manifests", ".", "--format", "json", cwd=tmp_path)
    data = json.loads(done.stdout)
    assert [one["object"] for one in data["findings"]] == ["Pod/default/a.yaml", "Pod/default/deep-er-b.yml"]
    assert [(one["file"], one["line"], one["message"]) for one in data["problems"]] == [
        ("./gone.yml", 0, "It cannot be read: No such file or directory."),
        ("./latin1.yml", 2, "It is not UTF-8."),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--manifests", "nowhere"], "unshim-scan: nowhere: there is no such file or directory"),
        (["--manifests", ".", "--allow-list", "none.yml"], "unshim-scan: none.yml: No such file or directory"),
        (["--manifests", ".", "--allow-list", "bad"], "unshim-scan: bad:1: an allow-list is one key"),
        (["--manifests", ".", "--manifest-types", "bad"], "unshim-scan: bad:1: it is not valid JSON"),
        (["--manifests", ".", "--manifest-types", "list"], "unshim-scan: list:1: it must be one JSON object"),
        (["--manifests", ".", "--output", "no/where"], "unshim-scan: no/where: No such file or directory"),
        ([], "the following arguments are required|one of the arguments --manifests --cluster is required"),
        (["--manifests", ".", "--cluster"], "not allowed with argument"),
    ],
)
def test_a_wrong_argument_is_one_sentence(tmp_path, arguments, says):
    (tmp_path / "bad").write_text("- a: b\n")
    (tmp_path / "list").write_text("[]")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert any(one in done.stderr for one in says.split("|"))


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} bin/unshim-scan --manifests {DATA / 'planted'} | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SCAN of manifests in") and done.stderr == ""
