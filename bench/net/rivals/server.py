"""asyncio's server, on its own loop or on uvloop's: streams, and a task for each connection. HTTP is only looked at for
where requests end."""

import asyncio
import sys
from email.utils import formatdate

BLANK = b"\r\n\r\n"


async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


async def answer(reader, writer):
    held = b""
    while data := await reader.read(4096):
        *requests, held = (held + data).split(BLANK)
        date = formatdate(usegmt=True).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nDate: " + date
        writer.write((head + BLANK + b"Hello, World!") * len(requests))
        await writer.drain()


async def main():
    converse = answer if "http" in sys.argv else echo

    async def connected(reader, writer):
        try:
            await converse(reader, writer)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=4096)
    print("listening on", "%s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


if "uvloop" in sys.argv:
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
