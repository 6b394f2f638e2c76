"""``make lab``: runs the commands of the pages of docs/lab on a real cluster and checks them.

The English pages are the only source. ``page_parser`` reads the commands and the expected outputs,
``shell`` runs commands, ``page_scenario`` is a page for the common runner, ``report`` writes the
report. ``page_generator`` inserts files, manifests and real outputs into the pages of all
languages.
"""
