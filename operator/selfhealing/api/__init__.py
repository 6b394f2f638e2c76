"""The types of the SelfHealingApp resource: names, spec, status and defaults."""
