"""A folder for PYTHONPATH that gives a Python process a wrong wall clock (sitecustomize)."""
