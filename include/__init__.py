"""Python packages of this bundle: the orchestrator and the example pipelines."""
