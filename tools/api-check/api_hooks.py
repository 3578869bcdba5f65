"""Most requests go to what is there: ids that are made up find nothing but 404."""

import json
import os
import re

import jsonschema_rs
import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

API = os.environ["API"]
HTTP = requests.Session()
HTTP.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"

# How many sessions there may be before they are removed again.
MANY = 20

# What can be asked for as lines of JSON, and ends.
STREAMED = re.compile("/(run|execs|output|images)$")

count = 0


def session(name):
    """A session of this name that runs."""
    url = f"{API}/sessions/by-name/{name}?wait=running&replace=true"
    made = HTTP.put(url, data="{}", timeout=60)
    made.raise_for_status()
    return made.json()["id"]


def sweep():
    """Removes the sessions, when there are many."""
    there = HTTP.get(f"{API}/sessions?limit=200", timeout=60).json()["data"]
    if len(there) > MANY:
        for it in there:
            HTTP.delete(f"{API}/sessions/{it['id']}", timeout=60)


def is_wrong(case, location):
    return case.meta is not None and case.meta.is_negative_at(location)


@schemathesis.hook
def before_call(context, case, kwargs):
    global count
    count += 1
    if count % 10 == 0:
        sweep()
    path, method, names = case.operation.path, case.method.upper(), case.path_parameters or {}
    # It would wait as long as it is told to.
    if path.endswith("/wait") and isinstance(case.body, dict) and case.body.get("timeout") is None:
        case.body["timeout"] = "200ms"
    # Its coverage phase leaves headers out, which have to stay out.
    covers = case.meta is not None and case.meta.phase.name.name == "COVERAGE"
    if STREAMED.search(path) and count % 2 == 0 and not covers:
        case.headers = {**(case.headers or {}), "Accept": "application/x-ndjson"}
    # One in eight keeps the id that was made up.
    if "id" not in names or is_wrong(case, ParameterLocation.PATH) or count % 8 == 0:
        return
    # What ends a session gets one of its own.
    ends = path.endswith("/sessions/{id}") and method in ("DELETE", "PATCH")
    ends = ends or path.endswith(("/sessions/{id}/start", "/sessions/{id}/stop"))
    names["id"] = session("victim" if ends else "work")
    url = f"{API}/sessions/{names['id']}"
    if "terminal" in names:
        names["terminal"] = "t"
        HTTP.post(f"{url}/terminals", data=json.dumps({"name": "t", "command": ["sh"]}), timeout=60)
    if "exec" in names and method == "PUT":
        names["exec"] = f"new-{count}"
    elif "exec" in names:
        names["exec"] = f"exec-{count}"
        wish = {"shell": "echo there; cat; sleep 2", "stdin_open": True, "background": True, "linger": "2s"}
        HTTP.put(f"{url}/execs/exec-{count}", data=json.dumps(wish), timeout=60)
    if "pid" in names:
        wish = {"shell": "sleep 3", "background": True}
        running = HTTP.put(f"{url}/execs/pid-{count}", data=json.dumps(wish), timeout=60)
        names["pid"] = running.json().get("pid") or 1
    if "port" in names:
        names["port"] = 8765
    if "path" in names:
        names["path"] = ["etc/hostname", "tmp/a", "tmp", "tmp/b"][count % 4]
        HTTP.put(f"{url}/files/tmp/a", data=b"a\nb\n", timeout=60)


@schemathesis.check
def each_line_is_as_described(ctx, response, case):
    """Streams are described by what one of their lines is."""
    kind = response.headers.get("content-type", [""])[0].split(";")[0]
    if kind != "application/x-ndjson":
        return
    document = case.operation.schema.raw_schema
    answers = document["paths"][case.operation.path][case.method.lower()]["responses"]
    answer = answers.get(str(response.status_code), answers["default"])["content"][kind]
    schema = {**answer["schema"], "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    for line in response.content.decode().splitlines():
        if error := next(validator.iter_errors(json.loads(line)), None):
            raise AssertionError(f"{error.message}: {line}")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # It holds the lines `data: …` of a stream of events against the schema of what is in them.
    kind = str(response.headers.get("content-type"))
    return not (type(failure).__name__ == "JsonSchemaError" and "event-stream" in kind)
