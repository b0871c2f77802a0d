"""Retention as reachability: what nothing kept refers to is marked, set aside, and deleted after a grace time."""
