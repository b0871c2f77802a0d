"""A pipeline's IR: compiled, described in a manifest, filled in for a run."""
