"""Providers and the way to them: what stands behind the gateway."""
