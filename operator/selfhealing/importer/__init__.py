"""Imports a Deployment with its Service, HPA, PDB and Ingress as a SelfHealingApp.

Pure functions from manifests to an ``ImportResult``: what is read from files or from a cluster is
an argument. The result is compared with what the operator would render of it, so that nothing that
the manifests say is lost without a word.
"""

from selfhealing.importer.manifests import ImportRefusedError, read_objects
from selfhealing.importer.run import ImportResult, import_app
from selfhealing.importer.yaml_text import format_result

__all__ = ["ImportRefusedError", "ImportResult", "format_result", "import_app", "read_objects"]
