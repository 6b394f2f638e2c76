"""Turns what the cluster has about an app into what a person is shown. Pure.

``objects`` are the raw objects, ``model`` is what is shown of them, ``build`` leads from one to the
other. Everything in a model is clean text (``api.text``), which a terminal or a page can print.
"""
