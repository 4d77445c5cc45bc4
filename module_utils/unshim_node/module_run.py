"""The one place where node-side code meets AnsibleModule: results go out, errors become one sentence."""

import os
import traceback

from .errors import NodeError


def run(module, act):
    """Call ``act(module)`` and end the module with what it returns (a dict for ``exit_json``).

    NodeError and OSError become ``fail_json`` with their message; anything else is our own mistake and says where.
    ``fail_json`` is called outside the except blocks: inside, ansible-core appends a traceback or chained messages.
    """
    try:
        outcome, failure = act(module), None
    except NodeError as error:
        failure = dict(error.details, msg=error.message)
    except OSError as error:
        failure = {"msg": describe_os_error(error)}
    except Exception as error:  # the last line of defence: no traceback reaches an operator
        failure = {"msg": describe_internal_error(module, error)}
    if failure is not None:
        failure.setdefault("changed", False)
        return module.fail_json(**failure)
    return module.exit_json(**outcome)


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
