"""Bytes between two sockets: the hot loop and the relays it drives."""
