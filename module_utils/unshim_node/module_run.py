"""The one place where node-side code meets AnsibleModule: results go out, errors become one sentence."""

import os
import threading
import traceback

from .errors import NodeError
from .journal import ROOT, Journal

_ours = threading.local()  # its journals are unlocked when the module ends


class Part(object):
    """Part of a module's work, with parameters of its own: what a module that does several things gives to each of them."""

    def __init__(self, module, **params):
        self.params = params
        self.check_mode = module.check_mode
        self.warn = module.warn


JOURNAL_ROOT_OPTION = {"type": "path", "default": ROOT}

# The plan's FileChange. no_log keeps file contents out of the node's system log, where Ansible notes each call;
# hide_only_secrets() then lets through to the controller whatever is not secret.
FILES_OPTION = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "no_log": True,
    "options": {
        "path": {"type": "path", "required": True},
        "before": {"type": "str"},
        "after": {"type": "str"},
        "mode": {"type": "str", "default": "0644"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "role": {"type": "str", "default": "other"},
        "secret": {"type": "bool", "default": False},
        "stage": {"type": "str", "default": "prepare"},
        "reason": {"type": "str", "default": ""},
    },
}


def run(module, act):
    """Call ``act(module)`` and end the module with what it returns (a dict for ``exit_json``).

    ``fail_json`` is called outside the except blocks: inside, ansible-core appends a traceback or chained messages.
    """
    outcome, failure = attempt(module, act)
    if failure is not None:
        return module.fail_json(**failure)
    return module.exit_json(**outcome)


def attempt(module, act):
    """Call ``act(module)`` and return (what it returns, None), or (None, the arguments for ``fail_json``).

    NodeError and OSError become a failure with their message; anything else is our own mistake and says where.
    """
    _ours.journals = []
    try:
        outcome, failure = act(module), None
    except NodeError as error:
        failure = dict(error.details, msg=error.message)
    except OSError as error:
        failure = {"msg": describe_os_error(error)}
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback reaches an operator
        failure = {"msg": describe_internal_error(module, error)}
    finally:
        while _ours.journals:
            _ours.journals.pop().unlock()
    if failure is not None:
        failure.setdefault("changed", False)
        return None, failure
    return outcome, None


def open_journal(module):
    """Return the node's journal, once nobody else changes the node; its warnings become Ansible's.

    In check mode nothing written to it leaves memory, and nobody is waited for.
    """
    journal = Journal.load(module.params["journal_root"], check_mode=module.check_mode)
    _ours.journals.append(journal)
    journal.wait_for_others()
    for warning in journal.warnings:
        module.warn(warning)
    return journal


def hide_only_secrets(module, changes):
    """Let the module's output hold file contents, except those of secret files."""
    module.no_log_values.clear()
    for change in changes:
        if change.get("secret"):
            texts = (change.get("before"), change.get("after"))
            module.no_log_values.update(text for text in texts if text and text.strip())


def describe_os_error(error):
    """Return an OSError as a sentence that names the file, if there is one."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return "The system refused an operation: %s." % reason
    return "%s: %s." % (error.filename, reason)


def describe_internal_error(module, error):
    """Return where an unforeseen exception was raised, short enough to quote in an issue."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = getattr(module, "_name", "") or "unshim"
    return "internal error in %s (please report): %s: %s at %s:%s" % (
        name,
        type(error).__name__,
        error,
        os.path.basename(place[0]),
        place[1],
    )
