"""Monitoring of nodes that run containerd: what there is to measure, when to alert, and the files that say so to others."""
