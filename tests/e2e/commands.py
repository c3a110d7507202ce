"""Running other people's command-line clients against a gateway, in a home of their own."""

import asyncio
import os
import shutil


def installed(variable, name):
    """Return the path of a client: from an environment variable, or on the PATH; None if it is not here."""
    return os.environ.get(variable) or shutil.which(name)


async def run(*command, home, work, patience_s=90, **environment):
    """Run a command to its end; return its exit code and what it wrote. It sees no home but its own."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), patience_s)
    except TimeoutError:
        process.kill()
        out, errors = await process.communicate()
        raise AssertionError(f"it did not end: {out!r} {errors!r}") from None
    return process.returncode, out.decode(), errors.decode()
