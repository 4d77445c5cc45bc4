"""The cases of tests/data/monitoring/alerts.yml as promtool's own test files."""

from pathlib import Path

import yaml

from unshim.monitoring import alerts

CASES = Path(__file__).parents[1] / "data/monitoring/alerts.yml"


def cases():
    return yaml.safe_load(CASES.read_text())


def test_file(name, rules):
    """Return the test file of an alert for ``promtool test rules``."""
    alert = alerts.BY_NAME[name]
    step = "1h" if alert.hold.endswith("d") else "1m"
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": step,
        "tests": [
            {
                "interval": step,
                "input_series": [{"series": series, "values": values} for series, values in case["series"].items()],
                "alert_rule_test": [
                    {
                        "eval_time": case["at"],
                        "alertname": name,
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": alert.severity, **expected["labels"]},
                                "exp_annotations": {"summary": expected["summary"], "description": alert.remedy},
                            }
                            for expected in case.get("alerts", [])
                        ],
                    }
                ],
            }
            for case in cases()[name]
        ],
    }
