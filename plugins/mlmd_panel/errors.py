"""Errors of the panel; each is a sentence for the person who looks at the page."""

from __future__ import annotations


class PanelError(Exception):
    """What the panel cannot show: the message names the object and the cure, and is shown as it is.

    Messages hold no path, no address and no secret; what an administrator needs goes to the log.

    Attributes:
      status: HTTP status of a page that consists of this error.
      headline: Title of that page.
    """

    status = 500
    headline = "The panel failed"


class StoreError(PanelError):
    """The MLMD store is absent, locked, empty, of another schema version, or cannot be reached."""

    status = 503
    headline = "The ML Metadata store cannot be read"


class NotFound(PanelError):
    """There is no such object, or the user may not see it: the two look the same."""

    status = 404
    headline = "Not found"


class BadQuery(PanelError):
    """A filter, cursor or identifier of the URL does not mean anything."""

    status = 400
    headline = "This address does not mean anything"


class PayloadError(PanelError):
    """The files of one artifact cannot be shown: gone, outside the allowed roots, too large, broken."""

    status = 422
    headline = "The artifact's files cannot be shown"


class PayloadGone(PayloadError):
    """There are no files where the artifact says: cleaned away, or never written."""

    status = 404
    headline = "The artifact's files are gone"


class NoUri(PayloadGone):
    """The store does not say where the artifact's files are."""

    headline = "The artifact has no URI"


class PayloadUnknown(PayloadError):
    """There are files, and none of them is one that the panel knows of such an artifact."""

    headline = "The artifact's files are not understood"


class PartGone(PayloadUnknown, PayloadGone):
    """There are files, and the part that is asked for is not among them."""


class PayloadTooLarge(PayloadError):
    """There is more than the panel reads; what came before it was right."""


class SettingsError(PanelError):
    """A setting of the panel has a wrong value."""

    status = 503
    headline = "The panel is not set up right"
