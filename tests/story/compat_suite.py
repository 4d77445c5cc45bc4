"""compat.yml as the tests of a scenario run it, and what is planted on a node for it to find."""

import json
import time
from contextlib import contextmanager
from xml.etree import ElementTree

import jsonschema

#: What a lab's node that was moved well may show besides ok; each is documented.
DOCUMENTED = {
    "C04",  # deprecations of a configuration that the distribution wrote
    "C08",  # Docker's chains stay until commit.yml
    "C20",  # the CRI's log format
    "C38",  # container_fs_*
    "C55",  # Docker turns IPv6 off
}


def run(lab, *nodes, more_images=(), takes_pods_down=True):
    """Run compat.yml on nodes; return what it said and {node: its JSON}."""
    directory = lab.records / "compat"
    settings = json.dumps({"unshim_compat_dir": str(directory), "unshim_compat_images": list(more_images)})
    said = lab.playbook("compat", "--limit", ",".join(nodes), "-e", settings)
    schema = json.loads((lab.root / "docs/schemas/compat.schema.json").read_text())
    kept = {}
    for node in nodes:
        runtime = lab.get("node", node)["status"]["nodeInfo"]["containerRuntimeVersion"].partition("://")[0]
        path = directory / f"{node}.{runtime}.json"
        assert path.is_file(), said.output
        kept[node] = json.loads(path.read_text())
        jsonschema.validate(kept[node], schema)
        cases = ElementTree.parse(path.with_suffix(".xml")).findall(".//testcase")
        assert len(cases) == len(kept[node]["results"])
        failed = {case.get("name").split()[0] for case in cases if case.find("failure") is not None}
        assert failed == set(kept[node]["regressions"])
        assert f"| {kept[node]['results'][0]['id']} " in path.with_suffix(".md").read_text()
    assert not takes_pods_down or pods_left(lab) == []
    assert {node: said.recap()[node]["changed"] for node in nodes} == dict.fromkeys(nodes, 0)
    return said, kept


def pods_left(lab):
    items = lab.get("pods", "-A", "-l", "app.kubernetes.io/name=unshim-compat")["items"]
    return [item["metadata"]["name"] for item in items]


def outcomes(kept):
    return {result["id"]: result["outcome"] for result in kept["results"]}


def evidence(kept):
    return {result["id"]: result["evidence"] for result in kept["results"]}


def assert_moved_well(lab, *nodes, more_images=()):
    """Nothing is broken, every check that was ok before is shown again, and what differs is documented."""
    said, kept = run(lab, *nodes, more_images=more_images)
    assert said.code == 0, said.output
    for node in nodes:
        found = outcomes(kept[node])
        before = {result["id"]: result["before"] for result in kept[node]["results"]}
        print(f"{node}: {kept[node]['count']}")
        assert kept[node]["compared_with"].startswith("docker ")
        differs = {name for name, outcome in found.items() if outcome == "differs"}
        assert differs <= DOCUMENTED, {name: evidence(kept[node])[name] for name in differs - DOCUMENTED}
        assert "C20" in differs
        # The kubelet may lose sight of how a pod's containers ended, and says so.
        lost = {name for name in found if before[name] == "ok" and found[name] == "not-shown"} - {"C52"}
        assert lost == set(), {name: evidence(kept[node])[name] for name in lost}
    return kept


RESTART = "systemctl daemon-reload && systemctl restart containerd"
CONFLIST = "/etc/cni/net.d/10-lab.conflist"
CONFIG = "/etc/containerd/config.toml"
WITHOUT_PORTMAP = f"""
cp -p {CONFLIST} /root/conflist.kept
python3 - <<'END'
import json
network = json.load(open("{CONFLIST}"))
network["plugins"] = [plugin for plugin in network["plugins"] if plugin["type"] != "portmap"]
json.dump(network, open("{CONFLIST}", "w"))
END
"""
FEW_FILES = """
mkdir -p /run/systemd/system/containerd.service.d
printf '[Service]\\nLimitNOFILE=1024:2048\\n' >/run/systemd/system/containerd.service.d/zz-planted.conf
"""
# Every runtime gets a description of containers without NET_RAW; limits go on coming from containerd itself.
WITHOUT_NET_RAW = f"""
ctr oci spec | python3 -c '
import json, sys
spec = json.load(sys.stdin)
spec["process"].pop("rlimits", None)
for names in spec["process"]["capabilities"].values():
    if "CAP_NET_RAW" in names: names.remove("CAP_NET_RAW")
json.dump(spec, sys.stdout)' >/etc/containerd/planted.json
sed -i '/^ *\\[plugins\\."io\\.containerd\\.grpc\\.v1\\.cri"\\.containerd\\.runtimes\\.[A-Za-z0-9_-]*\\] *$/a base_runtime_spec = "/etc/containerd/planted.json"' {CONFIG}
grep -q planted.json {CONFIG}
"""
ELSEWHERE = "/opt/cni/planted"
WRONG_CNI_DIRECTORY = f"""
sed -i 's,^\\( *bin_dir *= *\\).*,\\1"{ELSEWHERE}",' {CONFIG}
grep -q {ELSEWHERE} {CONFIG}
"""
UNDO = f"""
[ ! -e /root/conflist.kept ] || {{ cp -p /root/conflist.kept {CONFLIST}; rm /root/conflist.kept; }}
rm -f /run/systemd/system/containerd.service.d/zz-planted.conf /etc/containerd/planted.json
rmdir /run/systemd/system/containerd.service.d 2>/dev/null || true
cp -p /root/config.kept {CONFIG} && rm /root/config.kept
{RESTART}
"""


@contextmanager
def planted(lab, node, *faults):
    """A node whose containerd was made wrong by hand; it is put right again at the end."""
    lab.on(node, f"set -e; cp -p {CONFIG} /root/config.kept")
    try:
        for fault in faults:
            lab.on(node, "set -e\n" + fault)
        lab.on(node, RESTART)
        yield
    finally:
        lab.on(node, UNDO)


def assert_planted_faults_are_caught(lab, node):
    """Three at once, each by its own check and by no other, and the playbook fails."""
    with planted(lab, node, FEW_FILES, WITHOUT_PORTMAP, WITHOUT_NET_RAW):
        said, kept = run(lab, node)
    told = evidence(kept[node])
    assert said.code != 0
    assert set(kept[node]["regressions"]) == {"C11", "C12", "C24"}, told
    # Whether the soft limit is 1024 or the hard one depends on the Go that containerd was built with.
    assert "open files" in told["C11"] and told["C11"].endswith(" 2048")
    assert told["C12"] == "lost NET_RAW"
    assert "portmap" in told["C24"] and "pod's own address answers" in told["C24"]


def assert_a_wrong_cni_directory_is_caught(lab, node):
    """No pod starts, and it is told why; without the plugins none is taken down either, until they are back."""
    with planted(lab, node, WRONG_CNI_DIRECTORY):
        said, kept = run(lab, node, takes_pods_down=False)
    told = evidence(kept[node])
    assert said.code != 0
    assert set(kept[node]["regressions"]) == {"C41", "C56"}, told
    assert ELSEWHERE in told["C41"] and "FailedCreatePodSandBox" in told["C41"]
    assert ELSEWHERE in told["C56"] and "bridge" in told["C56"]
    assert {name: told[name] for name in ("C12", "C20")} == dict.fromkeys(("C12", "C20"), "the probe pod does not run")
    deadline = time.monotonic() + 120
    while left := pods_left(lab):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.5)
