"""Watches, reconciles and writes: the only package, beside ``kube``, with I/O and a clock."""
