"""Commands for users: the manifests that install the operator."""
