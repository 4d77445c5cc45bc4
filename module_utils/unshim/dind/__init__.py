"""Docker-in-Docker on containerd nodes: what it is made of, computed from the cluster, its nodes and a few settings.

Nothing here asks a cluster or a node: data in, manifests, files and problems out.
"""
