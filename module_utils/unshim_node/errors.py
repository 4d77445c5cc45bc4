"""The one exception that node-side code raises for the operator to read."""


class NodeError(Exception):
    """Something is wrong on this node.

    Args:
        message: one or two complete sentences: what is wrong, on which file, unit or object, and what to do.
        details: optional facts for programs; they become further keys of the module's result.
    """

    def __init__(self, message, details=None):
        super(NodeError, self).__init__(message)
        self.message = message
        self.details = dict(details or {})

    def __str__(self):
        return self.message
