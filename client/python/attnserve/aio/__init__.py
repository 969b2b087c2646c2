"""The same client for asyncio: Client, Session and Layer whose calls are awaited.

    async with attnserve.aio.Client("127.0.0.1:8001") as client:
        response = await client.attend(query, key, value)

Arguments, results and errors are those of attnserve.Client and attnserve.Session.
Encoding and decoding run on the event loop; a tensor of 8 MB takes some
milliseconds.
"""

from attnserve.aio.client import Client
from attnserve.aio.layer import Layer
from attnserve.aio.session import Session

__all__ = ["Client", "Layer", "Session"]
