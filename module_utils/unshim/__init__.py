"""unshim's functional core: data in, data out, no I/O.

It runs on the controller (Python 3.11+) and is imported by action plugins, filters, pyinfra facts and testinfra.
What runs on a node lives in the sibling package ``unshim_node`` (Python 3.6+), what talks to the Kubernetes API in
``unshim_kube``.
"""

__version__ = "0.1.0"  # the one place; pyproject.toml reads it
