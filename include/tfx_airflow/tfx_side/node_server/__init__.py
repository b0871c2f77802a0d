"""The node server: a process with TFX imported, which forks a child per node."""
