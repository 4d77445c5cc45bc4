"""Facts about Kubernetes nodes, for pyinfra."""
