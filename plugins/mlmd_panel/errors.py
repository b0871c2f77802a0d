"""Exceptions whose messages the panel shows to its users."""

from __future__ import annotations


class PanelError(Exception):
    """Base class; the message names what failed and what to do about it, and is shown to the user unchanged.

    Messages contain no paths, addresses or secrets; details for administrators go to the log.

    Attributes:
      status: HTTP status of the error page.
      headline: Title of the error page.
    """

    status = 500
    headline = "Panel error"


class StoreError(PanelError):
    """The store is missing, locked, empty, unreachable, or has another schema version."""

    status = 503
    headline = "The ML Metadata store cannot be read"


class StoreEmpty(StoreError):
    """No node has run yet: the store's file does not exist, or its database has no tables of ML Metadata."""


class NotFound(PanelError):
    """The object does not exist, or the user may not see it; the message does not tell which."""

    status = 404
    headline = "Not found"


class BadQuery(PanelError):
    """A filter, cursor or id in the URL is not valid."""

    status = 400
    headline = "Invalid request"


class PayloadError(PanelError):
    """An artifact's files cannot be shown: missing, outside the allowed roots, too large or damaged."""

    status = 422
    headline = "The artifact's files cannot be shown"


class PayloadGone(PayloadError):
    """There are no files at the artifact's URI: deleted, or never written."""

    status = 404
    headline = "The artifact's files are missing"


class PayloadDeleted(PayloadGone):
    """Retention has deleted the artifact's files, or set them aside; its row stays."""

    status = 410
    headline = "The artifact was deleted"


class NoUri(PayloadGone):
    """The store has no URI for the artifact."""

    headline = "The artifact has no URI"


class PayloadUnknown(PayloadError):
    """There are files, but none that the panel recognizes for this type of artifact."""

    headline = "The artifact's files are not recognized"


class PartGone(PayloadUnknown, PayloadGone):
    """There are files, but not the requested part."""


class PayloadTooLarge(PayloadError):
    """There is more than the panel reads; what was read so far is valid."""


class SettingsError(PanelError):
    """A setting of the panel has an invalid value."""

    status = 503
    headline = "The panel is misconfigured"
