"""A venue that bursts: `python -m benchmarks.burst COUNT PER_SECOND` serves numbered trades on a free loopback port.

Belongs here: sending fast, and no faster than requested. Does not: measuring (`subjects`).
Prints its port.
"""

from __future__ import annotations

import asyncio
import sys
import time

from websockets.asyncio.server import ServerConnection, serve

_BATCH = 500
_AT = time.time_ns() // 1_000_000


def frames(first: int, count: int) -> bytes:
    """So many text frames, encoded by hand: a server that sends one by one would be slower than the venue it plays."""
    parts = []
    for number in range(first, first + count):
        payload = (
            b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":%d,"s":"BTCUSDT","a":%d,"p":"60000.10",'
            b'"q":"0.010","nq":"0.010","f":%d,"l":%d,"T":%d,"m":false,"st":1}}' % (_AT, number, number, number, _AT)
        )
        parts.append(b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload)
    return b"".join(parts)


async def main(count: int, per_second: int) -> None:
    done = asyncio.Event()

    async def burst(connection: ServerConnection) -> None:
        started = time.perf_counter()
        for first in range(0, count, _BATCH):
            connection.transport.write(frames(first, _BATCH))
            while connection.transport.get_write_buffer_size() > 1 << 20:
                await asyncio.sleep(0.001)
            await asyncio.sleep(max(0.0, (first + _BATCH) / per_second - (time.perf_counter() - started)))
        await connection.wait_closed()
        done.set()

    async with serve(burst, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await done.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
