"""`make bench`: this bundle's orchestrator beside TFX's LocalDagRunner and TFX's own AirflowDagRunner."""
