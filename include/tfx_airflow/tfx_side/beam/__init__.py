"""Beam's runners by their names: what a pipeline is given, jobs on a cluster, and the pool of workers beside one."""
