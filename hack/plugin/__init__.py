"""Builds kubectl-selfheal as a single file, with a manifest for krew (``make plugin``)."""
