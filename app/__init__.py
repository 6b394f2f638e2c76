"""The demo app: a small web service that can be told to fall ill, so that Kubernetes can heal it.

Nothing is imported here: ``python -m app.check`` runs as an exec probe every few seconds, and must
not pay for Flask. ``app.factory.create_app`` makes the application, ``python -m app`` serves it.
"""
