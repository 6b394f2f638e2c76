"""Commands for people: what the operator needs from a cluster, as YAML."""
