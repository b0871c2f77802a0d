"""A package beside the DAG file."""
