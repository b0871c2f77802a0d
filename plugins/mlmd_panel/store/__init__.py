"""Reads the ML Metadata store with SQL into plain records; knows nothing of pages or artifact files."""
