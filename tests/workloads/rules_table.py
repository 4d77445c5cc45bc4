"""What the scan's rules made of the planted workloads and their look-alikes, as a table for people: rules x found x false."""

from unshim.workloads.registry import RULES


def write(path, planted, similar, found):
    """Write the table and return how many findings are false.

    Args:
        path: the Markdown file.
        planted: ids of the rules that an object is there for, by object.
        similar: ids of the rules that an object only looks like, by object.
        found: ids of the rules that found something, by object.
    """
    rows = ["| rule | planted | found | look-alikes | false |", "|---|---|---|---|---|"]
    false_findings = 0
    for rule in (rule.id for rule in RULES):
        there = [key for key, rules in planted.items() if rule in rules]
        right = sum(rule in found.get(key, ()) for key in there)
        alike = sum(rule in rules for rules in similar.values())
        wrong = sum(rule in rules and key not in there for key, rules in found.items())
        false_findings += wrong
        rows.append(f"| {rule} | {len(there)} | {right} | {alike} | {wrong} |")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")
    return false_findings
