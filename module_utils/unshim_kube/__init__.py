"""What talks to the Kubernetes API from the controller, through the official client."""
