"""Generates what Argo CD needs to understand SelfHealingApps."""
