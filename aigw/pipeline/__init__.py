"""One request's journey, one file per link of the chain."""
