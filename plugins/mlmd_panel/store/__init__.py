"""The ML Metadata store, read only: SQL in, plain records out. Knows nothing of pages, and nothing of files."""
