"""A headless Chromium, spoken to in the DevTools protocol."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page of a browser.

    Everything that it complains of is in ``complaints``; every address that it asks for is in ``requests``.
    """

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self.complaints = []
        self.requests = []

    async def open(self, path, width=1000):
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._call(f"{domain}.enable")
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        await self._call("Emulation.setDeviceMetricsOverride", **metrics)
        await self._call("Page.navigate", url=Path(path).resolve().as_uri())
        while await self.evaluate("document.readyState") != "complete":
            await asyncio.sleep(0.05)

    async def evaluate(self, expression):
        answer = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    async def _call(self, method, **parameters):
        self._number += 1
        await self._socket.write_message(
            json.dumps({"id": self._number, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(await self._socket.read_message())
            if message.get("id") == self._number:
                return message["result"]
            event, detail = message["method"], message["params"]
            if event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                self.complaints.append(detail)
            if event == "Network.requestWillBeSent" and not detail["request"]["url"].startswith("data:"):
                self.requests.append(detail["request"]["url"])


@contextlib.asynccontextmanager
async def browser(profile):
    """Start a browser whose files are in a folder of its own, and yield its page."""
    process = subprocess.Popen(
        [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in process.stderr:
            found = re.search(r"ws://([\d.:]+)/", line)
            if found:
                break
        response = await AsyncHTTPClient().fetch(f"http://{found[1]}/json")
        (target,) = [page for page in json.loads(response.body) if page["type"] == "page"]
        socket = await websocket_connect(target["webSocketDebuggerUrl"], max_message_size=2**26)
        yield Page(socket)
        socket.close()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
