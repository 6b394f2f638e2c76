"""The Kubernetes API client, with its resources, credentials, errors, and leader election."""
