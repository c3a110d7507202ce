"""MCP servers as tools of any model: asked by the gateway itself, with the official client library.

That library is an optional extra. Only `connection` and `transport` import it, and they are imported when a
request wants an MCP server.
"""
