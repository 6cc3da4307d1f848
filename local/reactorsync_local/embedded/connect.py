"""The cheapest question to a server: does it accept connections?"""

import asyncio


async def accepts_connections(host: str, port: int) -> bool:
    """Whether something listens on `host:port`. Spares a client library's noise while a server
    starts.
    """
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
