"""What must not be in the product: loaders that run what they load, TLS that is not verified, packages without a signature,
a shell that is handed text. An exception is listed with its reason, and must still be there."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ("action_plugins", "bin", "callback_plugins", "deploy", "deploys", "doc_fragments", "filter_plugins", "inventory/example",
           "library", "module_utils", "playbooks", "roles", "ansible.cfg", "requirements.yml")  # fmt: skip
FORBIDDEN_CALLS = {
    "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all", "pickle.load", "pickle.loads", "marshal.loads", "shelve.open",
    "eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp",
    "ssl._create_unverified_context", "ssl._create_stdlib_context",
}  # fmt: skip
SAFE_LOADERS = ("yaml.SafeLoader", "yaml.CSafeLoader", "Loader")
#: Of TLS and signatures, in any file. By name of the file, what may be there and why.
FORBIDDEN_TEXT = re.compile(
    r"""(?x) verify(?:_ssl)?\s*=\s*False | CERT_NONE | check_hostname\s*=\s*False | validate_certs:\s*(?:false|no)
    | (?<![\w-])--insecure(?![\w-]) | curl\s[^|;\n]*-[a-zA-Z]*k\b | no-check-certificate | insecure-skip-tls
    | gpgcheck\s*=\s*0 | nogpgcheck | no-gpg-check | allow-unauthenticated | \[trusted=yes
    | StrictHostKeyChecking[= ]no | host_key_checking\s*=\s*False"""
)
ALLOWED = {
    ("module_utils/unshim/canary_pod.py", "curl -sk"): "whether a pod's packets arrive; nothing is sent or believed",
    (
        "module_utils/unshim_node/etcd.py",
        "check_hostname = False",
    ): "the cluster's own CA is required, and the member's ID is compared",
}


def product_files():
    listed = subprocess.run(["git", "ls-files", *PRODUCT], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    files = [name for name in listed.splitlines() if (ROOT / name).is_file()]
    assert len(files) > 200
    return files


FILES = product_files()
PYTHON = [name for name in FILES if name.endswith(".py") or name.startswith("bin/")]


def name_of(node):
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def complaints(text):
    """Yield what is wrong in a Python file, by line."""
    tree = ast.parse(text)
    loaders = {
        name_of(target): ast.unparse(one.value)
        for one in ast.walk(tree)
        if isinstance(one, ast.Assign)
        for target in one.targets
    }
    loaders |= {
        name_of(one.target): ast.unparse(one.value)
        for one in ast.walk(tree)
        if isinstance(one, ast.AnnAssign) and one.value
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = name_of(node.func)
        keywords = {one.arg: one.value for one in node.keywords}
        if called in FORBIDDEN_CALLS:
            yield node.lineno, called
        if called in ("yaml.load", "yaml.load_all", "yaml.compose", "yaml.compose_all", "yaml.parse", "yaml.scan"):
            loader = name_of(keywords["Loader"]) if "Loader" in keywords else ""
            if loader not in SAFE_LOADERS or "SafeLoader" not in loaders.get(loader, loader):
                yield node.lineno, f"{called} with {loader or 'the default loader'}"
        shell = keywords.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            yield node.lineno, f"{called} with a shell"


@pytest.mark.parametrize("name", PYTHON)
def test_no_call_that_runs_what_it_reads(name):
    assert not list(complaints((ROOT / name).read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "import yaml\nyaml.load(x)", "yaml.load(x, Loader=yaml.Loader)", "yaml.load_all(x, Loader=yaml.FullLoader)", "yaml.unsafe_load(x)",
        "Loader = yaml.Loader\nyaml.load(x, Loader=Loader)", "Loader: Any = yaml.Loader\nyaml.parse(x, Loader=Loader)",
        "from yaml import Loader\nyaml.load(x, Loader=Loader)", "subprocess.run(x, shell=True)", "eval(x)", "tempfile.mktemp()",
    ],
)  # fmt: skip
def test_the_check_sees_what_it_is_for(text):
    assert list(complaints(text))


def test_tls_and_signatures_are_verified_everywhere():
    found = {}
    for name in FILES:
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            if match := FORBIDDEN_TEXT.search(line):
                found[name, match[0].strip()] = f"{name}:{number}: {line.strip()}"
    assert {key: said for key, said in found.items() if key not in ALLOWED} == {}
    assert set(ALLOWED) == set(found), "an exception that is not needed any more"


@pytest.mark.parametrize(
    "text",
    ["curl -sSk https://x", "verify=False", "gpgcheck=0", "validate_certs: false", "ssl.CERT_NONE", "--insecure"],
)
def test_the_search_sees_what_it_is_for(text):
    assert FORBIDDEN_TEXT.search(text)


def test_no_task_hands_text_to_a_shell():
    """raw takes fixed text only (nodes may have no Python); shell, get_url and unarchive are not used at all."""
    tasks = [name for name in FILES if name.endswith(".yml") and name.startswith(("roles/", "playbooks/"))]
    text = {name: (ROOT / name).read_text() for name in tasks}
    used = {
        name
        for name, one in text.items()
        if re.search(r"ansible\.builtin\.(shell|get_url|unarchive|script|expect)\b", one)
    }
    assert not used
    raw = {name: re.findall(r"ansible\.builtin\.raw:(.*(?:\n {4}.*)*)", one) for name, one in text.items()}
    templated = {
        name: one
        for name, found in raw.items()
        for one in found
        if "{{" in one and "lookup('ansible.builtin.file'" not in one
    }
    assert not templated
