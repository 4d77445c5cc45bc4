"""What a pod notices of its runtime, on Docker and on containerd: named checks, and how each is judged. Pure.

A run observes a node and probe pods on it as texts by name (:class:`model.Observed`); each check judges those, alone or
against an earlier run. ``registry`` has every check, ``evaluation`` judges them, ``report_*`` write it down.
"""
