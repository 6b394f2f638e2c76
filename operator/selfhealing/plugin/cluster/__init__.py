"""Reads and changes objects with the rights of the person who runs the command.

``kubectl_proxy`` is the way to the API server, ``reader`` reads apps with what belongs to them.
"""
