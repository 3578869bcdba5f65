#!/usr/bin/env python3
"""What a coding agent does, over plain HTTP: make a sandbox, write files, run the tests, read the failure, patch,
run them again, start the server, wait for its port, and look at the page.

    TOKEN=$(cat ~/.local/share/shellport/token) examples/coding-agent.py --image node:22 --screenshot page.png

Only the standard library is used. Where a model would think, `think` does.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

API = os.environ.get("API", "http://127.0.0.1:8022/api/v1")
TOKEN = os.environ["TOKEN"]

PROJECT = {
    "package.json": '{"type": "module"}\n',
    "price.js": "export function total(prices) {\n  return prices.reduce((sum, price) => sum - price, 0);\n}\n",
    "price.test.js": (
        'import assert from "node:assert";\n'
        'import test from "node:test";\n'
        'import { total } from "./price.js";\n\n'
        'test("a total is the sum", () => assert.equal(total([1, 2, 3]), 6));\n'
    ),
    "server.js": (
        'import { createServer } from "node:http";\n'
        'import { total } from "./price.js";\n\n'
        "createServer((request, response) => {\n"
        '  response.setHeader("content-type", "text/html");\n'
        "  response.end(`<h1>Total: ${total([1, 2, 3])}</h1>`);\n"
        "}).listen(3000);\n"
    ),
}


def call(method, path, body=None, accept="application/json", kind="application/json"):
    """One call. Returns the open response; a problem ends the program with what it says."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data=data, method=method)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Accept", accept)
    request.add_header("Content-Type", kind)
    try:
        return urllib.request.urlopen(request, timeout=120)
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {json.load(error)['detail']}")


def ask(method, path, body=None):
    with call(method, path, body) as response:
        text = response.read()
        return json.loads(text) if text else None


def events(method, path, body=None):
    """The events of a streamed answer, as they come."""
    with call(method, path, body, accept="application/x-ndjson") as response:
        for line in response:
            yield json.loads(line)


def write(session, name, text):
    path = f"/sessions/{session}/files/tmp/project/{name}?parents=true"
    call("PUT", path, text.encode(), kind="application/octet-stream").close()


def run_tests(session, number):
    """Runs the tests once, however often this is asked for; returns the exit code and what they said."""
    said, code = "", None
    wish = {"argv": ["node", "--test", "--test-reporter=tap"], "cwd": "/tmp/project", "timeout": "1m"}
    for event in events("PUT", f"/sessions/{session}/execs/test-{number}", wish):
        if event["type"] == "output":
            said += event["data"]
        elif event["type"] == "process_end":
            code = event["code"]
    return code, said


def think(said, files):
    """Stands for a model: reads the failure, and returns a file with its new text."""
    wanted = re.search(r"expected: (-?\d+)", said)
    got = re.search(r"actual: (-?\d+)", said)
    if not wanted or not got:
        sys.exit(f"the tests fail as never before:\n{said}")
    print(f"   the tests want {wanted[1]} and get {got[1]}: a sign is wrong")
    return "price.js", files["price.js"].replace("sum - price", "sum + price")


def fetch(url):
    """A page of a port. Browsers know that *.localhost is this machine, and resolvers often do not: so this goes to the
    server's own address and names the host."""
    request = urllib.request.Request(API.removesuffix("/api/v1") + "/")
    request.add_header("Host", urllib.parse.urlsplit(url).netloc)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()


def screenshot(url, path, browser):
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        options += ["--window-size=640,240", "--virtual-time-budget=5000", f"--screenshot={path}"]
        subprocess.run([*shlex.split(browser), *options, url], check=True, timeout=60, capture_output=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--image", help="an image with Node.js; the server's default when absent")
    parser.add_argument("--screenshot", help="where to put a picture of the page")
    parser.add_argument("--browser", default="chromium", help="the command that takes it")
    options = parser.parse_args()

    print("1. a sandbox")
    wish = {"memory": "512m"} | ({"image": options.image} if options.image else {})
    session = ask("POST", "/sessions?wait=running", wish)["id"]
    try:
        print("2. the files")
        files = dict(PROJECT)
        for name, text in files.items():
            write(session, name, text)
        print("3. the tests")
        code, said = run_tests(session, 1)
        tries = 1
        while code != 0 and tries < 5:
            tries += 1
            name, files[name] = think(said, files)
            write(session, name, files[name])
            print(f"4. {name} is patched; the tests again")
            code, said = run_tests(session, tries)
        if code != 0:
            sys.exit(f"they still fail:\n{said}")
        print("   they pass")

        print("5. the server, and its port")
        server = {"argv": ["node", "server.js"], "cwd": "/tmp/project", "background": True}
        ask("PUT", f"/sessions/{session}/execs/server", server)
        for event in events("GET", f"/sessions/{session}/ports"):
            if event["type"] == "port_open" and event["port"] == 3000:
                print(f"   {event['process']} listens at {event['url']}")
                break
        print(f"   it says {fetch(event['url'])}")
        if options.screenshot:
            ticket = ask("POST", f"/sessions/{session}/ports/3000/tickets")
            screenshot(ticket["url"], options.screenshot, options.browser)
            print(f"6. a picture of it is in {options.screenshot}")
    finally:
        ask("DELETE", f"/sessions/{session}")


if __name__ == "__main__":
    main()
