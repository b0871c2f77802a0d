"""The ML Metadata store as nodes use it."""
