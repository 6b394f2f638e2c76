"""The local cluster: kind on any machine, with or without Docker and an image registry."""
