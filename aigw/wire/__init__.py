"""Bytes without meaning: framing of event streams and the like. Knows no field of any format."""
