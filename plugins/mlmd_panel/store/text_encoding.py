"""Translates texts to and from the way ml_metadata stores them on servers."""

from __future__ import annotations

import dataclasses

from mlmd_panel.store.mlmd_facts import POSTGRESQL_BACKSLASH

# MySQL's latin1 is Windows code page 1252, with control characters in its gaps.
_TO_BYTE = {bytes([b]).decode("cp1252", "ignore") or chr(b): b for b in range(256)}
_FROM_BYTE = {b: letter for letter, b in _TO_BYTE.items()}


@dataclasses.dataclass(frozen=True)
class Letters:
    """Translates between texts and the contents of the store's columns.

    ml_metadata's client sends UTF-8 to MySQL but declares it as latin1, so the server has two characters for an umlaut.

    Attributes:
      dialect: SQLAlchemy's name of the database.
    """

    dialect: str

    def read(self, text: str | None) -> str:
        """The text in a column; "" for NULL."""
        if not text:
            return ""
        if self.dialect == "postgresql":
            return text.replace(POSTGRESQL_BACKSLASH, "\\")
        if self.dialect == "mysql" and not text.isascii():
            try:
                return bytes(_TO_BYTE[letter] for letter in text).decode()
            except (KeyError, UnicodeDecodeError):
                return text  # not written by ml_metadata
        return text

    def write(self, text: str) -> str:
        """The column's content for a text."""
        if self.dialect == "postgresql":
            return text.replace("\\", POSTGRESQL_BACKSLASH)
        if self.dialect == "mysql" and not text.isascii():
            return "".join(_FROM_BYTE[byte] for byte in text.encode(errors="replace"))
        return text

    def pattern(self, text: str, before: str = "%") -> str:
        """For LIKE with ESCAPE '!': the text, with anything after it and, unless `before` is empty, before it."""
        written = self.write(text)
        for letter in "!%_":
            written = written.replace(letter, "!" + letter)
        return f"{before}{written}%"
