"""Artifacts in an object store: read and written through fsspec, staged for libraries that know local files only."""
