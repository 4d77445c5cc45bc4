"""promtool, which reads rules as Prometheus does: every alert fires on what it is for, and not otherwise."""

import subprocess

import promtool
import pytest
import yaml

from unshim.monitoring import alerts, dashboard, files, rules, scrape

NODES = [
    scrape.Node("w1", "10.0.0.1", "10.0.0.1:1338"),
    scrape.Node("w2", "10.0.0.2", "0.0.0.0:1338"),
    scrape.Node("w3", "fd00::3", "[::]:1338"),
    scrape.Node("w4", "10.0.0.4", "127.0.0.1:1338", True),
]


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("monitoring")
    texts = files.render(
        NODES,
        overrides={},
        node_exporter_port=9100,
        cri_endpoint="unix:///run/containerd/containerd.sock",
        crictl="/usr/bin/crictl",
        health_checker="/usr/bin/health-checker",
    )
    for path, text in texts.items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text)
    return directory


def ask(prometheus, *arguments):
    done = subprocess.run([prometheus / "promtool", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def only(name):
    """Return the rule of one alert, as the whole file has it."""
    return [rule for rule in yaml.safe_load(rules.render())["groups"][0]["rules"] if rule["alert"] == name]


def written_test(directory, name, own_rules):
    """Write one alert's rules and test file; returns the latter's path."""
    (directory / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": own_rules}]}))
    (directory / "test.yml").write_text(yaml.safe_dump(promtool.test_file(name, directory / "rules.yml")))
    return directory / "test.yml"


@pytest.mark.parametrize("name", [alert.name for alert in alerts.ALERTS])
def test_alert_fires_and_does_not_fire(prometheus, written, tmp_path, name):
    assert [rule["alert"] for rule in only(name)] == [name]
    code, said = ask(prometheus, "test", "rules", written_test(tmp_path, name, only(name)))
    assert code == 0, said


@pytest.mark.parametrize("name", [alert.name for alert in alerts.ALERTS])
def test_an_alert_that_never_fires_is_noticed(prometheus, tmp_path, name):
    """The cases are worth something: with an expression that is never true they fail."""
    never = [{**rule, "expr": "vector(1) > 2"} for rule in only(name)]
    assert ask(prometheus, "test", "rules", written_test(tmp_path, name, never))[0] != 0


def test_rules_are_prometheus(prometheus, written):
    code, said = ask(prometheus, "check", "rules", written / "prometheus/rules.yml")
    assert (code, f"{len(alerts.ALERTS)} rules found" in said) == (0, True), said


@pytest.mark.parametrize("name", ["scrape.yml", "scrape-on-node.yml"])
def test_scrape_configuration_is_prometheus(prometheus, written, name):
    path = written / "prometheus" / f"checked-{name}"
    path.write_text((written / "prometheus" / name).read_text() + "rule_files: [rules.yml]\n")
    code, said = ask(prometheus, "check", "config", path)
    assert (code, "1 rule files found" in said) == (0, True), said


def test_every_query_of_the_dashboard_is_promql(prometheus, tmp_path):
    """Grafana puts in the variables; promtool takes each query as a recording rule."""
    expressions = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in dashboard.queries()]
    recorded = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(expressions)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    code, said = ask(prometheus, "check", "rules", tmp_path / "queries.yml")
    assert (code, f"{len(expressions)} rules found" in said) == (0, True), said
