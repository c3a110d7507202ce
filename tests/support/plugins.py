"""Plugins that tests make of functions, and the requests they meet."""

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}


class Noted:
    """A plugin made of functions: `Noted("p", admit=...)`."""

    def __init__(self, name, *, on_failure="closed", **hooks):
        self.name = name
        self.on_failure = on_failure
        for point, function in hooks.items():
            setattr(self, point, function)


def use(gateway, name="p", **hooks):
    """Register a plugin made of functions."""
    gateway.hooks.register(Noted(name, **hooks))
