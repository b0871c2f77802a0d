"""What a command's exit code says."""

from __future__ import annotations

from mlmd_panel.errors import BadQuery, NotFound, PanelError, PayloadError, SettingsError, StoreError

OK, FINDING, USAGE, NO_ANSWER, STORE = range(5)
TEXT = """\
exit codes:
  0  done, and nothing was found that --fail-on asks for
  1  a finding that --fail-on asks for
  2  wrong usage: an option, a setting, or a reference that names no run or several
  3  no answer: no evaluation, two that are not comparable, or no change that could be tested, as with too few
     examples
  4  the store or an artifact's files cannot be read, or are gone
"""
_OF_ERRORS = ((BadQuery, USAGE), (SettingsError, USAGE), (NotFound, NO_ANSWER), (StoreError, STORE))


def of_error(error: PanelError) -> int:
    """The exit code after an error."""
    if isinstance(error, PayloadError):
        return STORE
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), STORE)
