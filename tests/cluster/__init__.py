"""Real Flink and Spark clusters, an S3 server, and what runs on them: `make test-cluster`."""
