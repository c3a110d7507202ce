"""The places where plugins see and change a request: their specification and their loading."""
