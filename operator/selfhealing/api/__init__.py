"""The types of the SelfHealingApp resource: names, spec, status, defaults and CEL rules."""
