"""Workloads that need Docker: rules over Kubernetes objects, whether read from a cluster or from files. Pure.

``scan.scan`` is the way in; ``registry.RULES`` is everything it knows.
"""
