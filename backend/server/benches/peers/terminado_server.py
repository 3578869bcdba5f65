"""A shell for each WebSocket on /terminal, by terminado as its examples use it.

usage: terminado_server.py PORT
"""

import asyncio
import sys

import tornado.web
from terminado import TermSocket, UniqueTermManager


async def main() -> None:
    manager = UniqueTermManager(shell_command=["sh"])
    routes = [(r"/terminal", TermSocket, {"term_manager": manager})]
    tornado.web.Application(routes).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
