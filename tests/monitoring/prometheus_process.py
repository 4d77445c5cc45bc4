"""A real Prometheus, and a real node_exporter, as processes of a test, asked through Prometheus' API."""

import json
import subprocess
import time
import urllib.parse
import urllib.request

import yaml


class PrometheusProcess:
    """Prometheus with the scrape configuration and rules that unshim wrote, looking every second."""

    def __init__(self, program, directory, port):
        self.program, self.directory, self.port = program, directory, port
        self.process = None

    def start(self, scrape, rules):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            **yaml.safe_load(scrape),
        }
        (self.directory / "rules.yml").write_text(rules)
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    f"--config.file={self.directory}/prometheus.yml",
                    f"--storage.tsdb.path={self.directory}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: self.ask("query", query="vector(1)"), 60, "Prometheus answers")
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def ask(self, what, **query):
        """Return ``data`` of an answer of the API, None while it is not up."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except OSError:
            return None

    def targets(self):
        """Return {(job, node): health} of every target."""
        return {
            (one["labels"]["job"], one["labels"].get("node", "")): one["health"]
            for one in self.ask("targets")["activeTargets"]
        }

    def firing(self):
        """Return {(alert, node)} of what fires now."""
        return {
            (one["labels"]["alertname"], one["labels"].get("node", ""))
            for one in self.ask("alerts")["alerts"]
            if one["state"] == "firing"
        }


def wait_for(condition, seconds, what):
    """Ask until a condition holds; returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.5)
