"""docs/carry-over.md is the table in the code, and every setting that the table calls carried is one the planner reads."""

from pathlib import Path

from unshim import carry_over, docker_settings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/carry-over.md"

HEAD = """# What is carried over

Every setting of Docker's that unshim knows, and what becomes of it on a node that moves to containerd. The plan of a node
(`playbooks/plan.yml`) says the same of the settings that node has. This page is made from
`module_utils/unshim/carry_over.py`.

- **carried**: containerd, or the node, is set to the same.
- **kubelet**: the kubelet has it, or gets it.
- **warns**: it ends with Docker and pods could notice; the plan says what to do.
- **blocks**: a node that has it is not moved.
- **ends**: it ends with Docker and no pod notices; the plan lists it with the reason.
"""
TITLES = {
    "daemon.json": "## dockerd: daemon.json and flags\n\nA key of daemon.json is a flag of dockerd, too, of the same name unless "
    "another is named. What counts is what the running\ndockerd has, wherever it was given.\n",
    "dockerd": "## What dockerd does unasked\n",
    "docker.service": "## docker.service: environment and limits\n",
    "docker's files": "## Docker's other files\n",
    "kubelet": "## The kubelet\n",
}
# Sources whose short name the rows use.
FOOT = """
"dockerd" is [its reference](https://docs.docker.com/reference/cli/dockerd/) and moby's `daemon/config/`; a path after
"moby", "kubernetes" or "containerd" is one in that project's source, Kubernetes' as of 1.20 where dockershim is concerned.
"""


def setting(row):
    if row.place != "daemon.json":
        return row.setting
    flag = docker_settings.flag_of(row.setting)
    return f"`{row.setting}`" + (f" (`--{flag}`)" if flag != row.setting else "")


def cell(text):
    return text.replace("|", "\\|").replace("*", "\\*")


def page():
    parts = [HEAD]
    for place, title in TITLES.items():
        parts.append(f"\n{title}\n| setting | | becomes | why | source |\n|---|---|---|---|---|\n")
        for row in carry_over.ROWS:
            if row.place == place:
                how = "ends" if row.how == "not-carried" else row.how
                why = row.reason + (f". {row.remedy}" if row.remedy else "")
                parts.append(
                    f"| {cell(setting(row))} | {how} | {cell(row.becomes)} | {cell(why)} | {cell(row.source)} |\n"
                )
    return "".join([*parts, FOOT])


def test_the_page_is_the_table(update_golden):
    if update_golden:
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


def test_every_place_has_a_part_of_the_page():
    assert tuple(TITLES) == carry_over.PLACES
    assert {row.place for row in carry_over.ROWS} == set(carry_over.PLACES)


def test_a_key_that_is_carried_is_one_that_the_planner_reads():
    sources = {path.name: path.read_text() for path in (ROOT / "module_utils/unshim").glob("*.py")}
    del sources["carry_over.py"], sources["docker_settings.py"]
    # Two that need no reading: what containerd does anyway, and the old name that docker_settings replaces.
    elsewhere = {"live-restore", "graph", "ip-forward", "exec-opts", "dns", "dns-opts", "dns-search", "resolv-conf"}
    for row in carry_over.ROWS:
        if row.place == "daemon.json" and row.how in ("carried", "kubelet") and row.setting not in elsewhere:
            assert any(f'"{row.setting}"' in text for text in sources.values()), row.setting
