"""What is written for Prometheus, Grafana, node-problem-detector and log agents."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from unshim.facts import Facts, Kubelet
from unshim.monitoring import alerts, files, log_agents, node_problem_detector, rules, scrape

GOLDEN = Path(__file__).parents[2] / "data/monitoring/written"
NODES = [
    scrape.Node("w1", "10.0.0.1", "10.0.0.1:1338"),
    scrape.Node("w2", "10.0.0.2", "0.0.0.0:1338"),
    scrape.Node("w3", "fd00::3", "[::]:1338"),
    scrape.Node("w4", "10.0.0.4", "127.0.0.1:1338", True),
]


def render(nodes=NODES, **overrides):
    return files.render(
        nodes,
        overrides=overrides,
        node_exporter_port=9100,
        cri_endpoint="unix:///run/containerd/containerd.sock",
        crictl="/usr/local/bin/crictl",
        health_checker="/home/kubernetes/bin/health-checker",
    )


@pytest.mark.parametrize("path", render())
def test_file_is_as_it_was_looked_at(path, update_golden):
    golden = GOLDEN / path
    if update_golden:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(render()[path])
    assert golden.read_text() == render()[path]


def test_no_golden_file_is_left_over():
    assert {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()} == set(render())


def test_without_nodes_on_loopback_there_is_nothing_for_an_agent():
    assert "prometheus/scrape-on-node.yml" not in render(NODES[:2])
    assert yaml.safe_load(render([])["prometheus/scrape.yml"])["scrape_configs"][-1]["job_name"] == "node"


def test_containerd_that_listens_everywhere_is_read_at_its_nodes_address():
    jobs = {job["job_name"]: job for job in yaml.safe_load(render()["prometheus/scrape.yml"])["scrape_configs"]}
    targets = {one["labels"]["node"]: one["targets"] for one in jobs["containerd"]["static_configs"]}
    assert targets == {"w1": ["10.0.0.1:1338"], "w2": ["10.0.0.2:1338"], "w3": ["[fd00::3]:1338"]}


# Rules


def test_alert_is_as_a_user_wants_it():
    wanted = {"DindDown": {"enabled": False}, "ImagePullsFail": {"threshold": "7", "for": "1h30m", "severity": "info"}}
    made = {one["alert"]: one for one in yaml.safe_load(render(**wanted)["prometheus/rules.yml"])["groups"][0]["rules"]}
    assert "DindDown" not in made
    assert len(made) == len(alerts.ALERTS) - 1
    pulls = made["ImagePullsFail"]
    assert (pulls["for"], pulls["labels"], pulls["expr"].count("> 7")) == ("1h30m", {"severity": "info"}, 3)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"DindDwon": {}}, r"unshim_alerts\.DindDwon: there is no such alert; do you mean DindDown\?"),
        ({"DindDown": 5}, r"unshim_alerts\.DindDown: give it keys"),
        ({"DindDown": {"threshold": 5}}, r"unshim_alerts\.DindDown\.threshold: this alert has no threshold"),
        ({"DindDown": {"treshold": 5}}, r"unshim_alerts\.DindDown\.treshold: there is no such key"),
        ({"ImagePullsFail": {"threshold": "many"}}, r"threshold: 'many' is not a number"),
        ({"ImagePullsFail": {"threshold": True}}, r"threshold: True is not a number"),
        ({"ImagePullsFail": {"for": "5 minutes"}}, r"for: '5 minutes' is not a time"),
        ({"ImagePullsFail": {"severity": "page"}}, r"severity: 'page' is not one of critical, warning, info"),
        ({"ImagePullsFail": {"enabled": "no"}}, r"enabled: 'no' is neither true nor false"),
    ],
)
def test_setting_that_cannot_be_followed_is_named(wanted, says):
    with pytest.raises(rules.AlertError, match=says):
        rules.chosen(wanted)


# The dashboard


def test_panels_do_not_lie_on_each_other():
    panels = json.loads(render()["grafana/nodes.json"])["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken and grid["x"] + grid["w"] <= 24, panel["title"]
        taken |= cells


# node-problem-detector


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (
            ["npd", "--config.system-log-monitor=/config/kernel-monitor.json,/config/docker-monitor.json"],
            ["npd", "--config.system-log-monitor=/config/kernel-monitor.json",
             "--config.custom-plugin-monitor=/u/health-checker-containerd.json"],
        ),
        (
            ["npd", "-config.custom-plugin-monitor=/config/health-checker-docker.json,/config/health-checker-kubelet.json"],
            ["npd", "-config.custom-plugin-monitor=/config/health-checker-kubelet.json,/u/health-checker-containerd.json"],
        ),
        (  # the shipped one, which repairs, gives way to ours
            ["npd", "--config.custom-plugin-monitor=/config/health-checker-containerd.json"],
            ["npd", "--config.custom-plugin-monitor=/u/health-checker-containerd.json"],
        ),
        (
            ["npd", "--config.system-log-monitor=docker-monitor-filelog.json,docker-monitor-counter.json", "--logtostderr"],
            ["npd", "--logtostderr", "--config.custom-plugin-monitor=/u/health-checker-containerd.json"],
        ),
    ],
)  # fmt: skip
def test_docker_is_taken_out_of_the_arguments(arguments, after):
    assert node_problem_detector.without_docker(arguments, "/u") == after
    assert node_problem_detector.without_docker(after, "/u") == after


def test_patch_mounts_what_it_names_and_the_checker_repairs_nothing():
    config_map, daemon_set = yaml.safe_load_all(render()["node-problem-detector/daemonset-patch.yml"])
    checker = json.loads(config_map["data"][node_problem_detector.CHECKER])
    assert checker == json.loads(render()[f"node-problem-detector/{node_problem_detector.CHECKER}"])
    assert "--enable-repair=false" in checker["rules"][0]["args"]
    pod = daemon_set["spec"]["template"]["spec"]
    mounted = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert set(mounted) == {one["name"] for one in pod["volumes"]}
    assert f"--crictl-path={mounted['crictl']}" in checker["rules"][0]["args"]
    assert "docker" not in " ".join(pod["containers"][0]["command"])


# Log agents

# As containerd 1.7 wrote them for a container that printed these.
LINES = {
    "2026-11-26T02:26:21.998412434Z stdout F it runs": ("stdout", "F", "it runs"),
    "2026-11-26T02:26:21.998485793Z stderr F it fails": ("stderr", "F", "it fails"),
    "2026-11-26T02:26:21.998732397Z stdout P no end": ("stdout", "P", "no end"),
}


def fluentd_expression():
    text = log_agents.render()["fluentd.after.conf"]
    return re.compile(re.search(r"format /(\^.*\$)/", text)[1].replace("(?<", "(?P<"))


@pytest.mark.parametrize(("line", "parts"), LINES.items())
def test_fluentds_expression_reads_lines_of_containerd(line, parts):
    match = fluentd_expression().match(line)
    assert (match["stream"], match["logtag"], match["log"]) == parts


def test_fluentds_expression_leaves_dockers_lines_to_the_other():
    assert not fluentd_expression().match('{"log":"it runs\\n","stream":"stdout","time":"2026-11-26T02:26:21Z"}')


def test_every_agent_has_a_before_and_an_after():
    names = {tuple(name.split(".")[:2]) for name in log_agents.render()}
    assert names == {(agent, moment) for agent in log_agents.AGENTS for moment in ("before", "after")}
    assert {
        path.removesuffix(".toml")
        for path in log_agents.render()
        if path.endswith(".toml") and tomllib.loads(log_agents.render()[path])
    } == {"vector.before", "vector.after"}


@pytest.mark.parametrize(
    ("argv", "name"), [(("kubelet",), "w1.example"), (("kubelet", "--hostname-override=blue"), "blue"), ((), "")]
)
def test_node_has_the_name_its_kubelet_registers(argv, name):
    kubelet = Kubelet(command_line=argv, hostname="w1.example" if argv else "")
    assert scrape.node_name(Facts(kubelet=kubelet)) == name
