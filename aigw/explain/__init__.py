"""What would become of a request: the real chain, run up to the point where a provider would be called.

Owns `aigw explain`: reading a request as a person has it, the dry run, and how it is told. Copies no rule of
the chain: whatever it says of a request is what the links have done to it.
"""
