"""A node as a child process: asked for, followed, ended. The Airflow end of it."""
