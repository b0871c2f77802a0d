"""Real Flink and Spark clusters, and what runs on them: `make test-cluster`."""
