"""The commands of `python -m include.tfx_airflow`, one a module."""
