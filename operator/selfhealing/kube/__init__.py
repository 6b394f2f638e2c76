"""The Kubernetes API client and what it needs: resources, credentials, errors, leader election."""
