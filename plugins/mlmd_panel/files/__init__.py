"""Files of artifacts: where they may be read from, and the formats that several payloads have in common."""
