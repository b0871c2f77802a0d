"""A read-only web panel, with a JSON API, for the runs, artifacts and evaluations in an ML Metadata store."""
