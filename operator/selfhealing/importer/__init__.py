"""Imports a Deployment with its Service, HPA, PDB and Ingress as a SelfHealingApp.

Pure functions from manifests to an ``ImportResult``: what is read from files or from a cluster is
an argument. The result is compared with what the operator would render of it, so that nothing that
the manifests say is lost without a word.
"""
