"""Generates the CRD and the reference page from the types in ``api``. Not in the image."""
