"""One function per page, which returns the data for its HTML, JSON and CSV."""
