"""The commands of `python -m mlmd_panel`, one per module."""
