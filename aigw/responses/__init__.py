"""The stateful side of `/v1/responses`, in front of any provider.

Works on the format's own trees, as clients write and read them: what a provider speaks is settled further
down the chain. So one chain of responses may run over several providers.
"""
