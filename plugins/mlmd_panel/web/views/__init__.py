"""One function per page; each gives the data that its page, its JSON twin and its CSV are made from."""
