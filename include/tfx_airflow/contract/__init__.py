"""What both interpreters agree on. Standard library only: it is imported beside Airflow and beside TFX."""
