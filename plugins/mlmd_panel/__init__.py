"""The panel: what ML Metadata knows about runs, artifacts and evaluations, as web pages and JSON; read only."""
