"""A stand-in for cryoSPARC's server: the calls of its public client that an external job makes.

It speaks HTTP and describes itself with an OpenAPI schema, from which the client makes its
methods; what it holds is plain data that tests look at.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, unquote, urlsplit

from cryosparc.dataset import Dataset

API = "/api"
DATASET = {"application/x-cryosparc-dataset": {"schema": {"title": "dataset"}}}
JOB = {"$ref": "#/components/schemas/Job"}


def text_of(name):
    return {"$ref": f"#/components/schemas/{name}"}


CALLS = {  # summary: method, path, query parameters, body, answer
    "login": ("post", "/login", "", "form", text_of("Token")),
    "users.me": ("get", "/users/me", "", None, text_of("User")),
    "config.get_version": ("get", "/config/version", "", None, {"type": "string"}),
    "projects.find_one": ("get", "/projects/{p}", "", None, text_of("Project")),
    "projects.get_directory": ("get", "/projects/{p}/dir", "", None, {"type": "string"}),
    "projects.download_file": ("get", "/projects/{p}/file", "path", None, "file"),
    "jobs.create": ("post", "/projects/{p}/{w}/jobs", "type title description", None, JOB),
    "jobs.find_one": ("get", "/jobs/{p}/{j}", "", None, JOB),
    "jobs.add_external_input": ("put", "/jobs/{p}/{j}/inputs/{i}", "", "json", JOB),
    "jobs.connect": (
        "post", "/jobs/{p}/{j}/inputs/{i}/connect", "source_job_uid source_output_name", None, JOB,
    ),
    "jobs.add_external_output": ("put", "/jobs/{p}/{j}/outputs/{o}", "", "json", JOB),
    "jobs.load_input": ("get", "/jobs/{p}/{j}/inputs/{i}", "slots force_join", None, "dataset"),
    "jobs.save_output": ("post", "/jobs/{p}/{j}/outputs/{o}", "version", "dataset", JOB),
    "jobs.mark_running": ("post", "/jobs/{p}/{j}/running", "status", None, JOB),
    "jobs.mark_completed": ("post", "/jobs/{p}/{j}/completed", "", None, JOB),
    "jobs.mark_failed": ("post", "/jobs/{p}/{j}/failed", "error", None, JOB),
    "jobs.add_event_log": ("post", "/jobs/{p}/{j}/log", "type", "json", text_of("TextEvent")),
    "jobs.update_event_log": (
        "put", "/jobs/{p}/{j}/log/{e}", "type", "json", text_of("TextEvent"),
    ),
}  # fmt: skip


def schema():
    """OpenAPI description of the calls."""
    paths = {}
    for name, (method, path, query, body, answer) in CALLS.items():
        parameters = [
            {"name": word, "in": "path", "required": True} for word in re.findall(r"{(\w+)}", path)
        ] + [{"name": word, "in": "query", "required": False} for word in query.split()]
        content = {
            "file": {"application/octet-stream": {"schema": {}}},
            "dataset": DATASET,
        }.get(answer if isinstance(answer, str) else "", {"application/json": {"schema": answer}})
        call = {
            "summary": name,
            "parameters": parameters,
            "responses": {
                "200": {"content": content},
                "404": {"content": {"application/json": {"schema": {}}}},
            },
        }
        if body:
            kinds = {
                "json": {"application/json": {"schema": {"title": "body"}}},
                "form": {"application/x-www-form-urlencoded": {"schema": {}}},
                "dataset": DATASET,
            }
            call["requestBody"] = {"content": kinds[body]}
        paths.setdefault(path, {})[method] = call
    return {"info": {}, "components": {}, "paths": paths}


class StandIn:
    """One project, P1, whose job J1 has micrographs; picks go to new jobs.

    Attributes
    ----------
    jobs : dict
        Jobs by uid, as the client's model has them.
    saved : dict
        Datasets saved, by job and output.
    log : list of str
        Log lines of all jobs.
    asked : list of str
        Names of all calls.
    """

    def __init__(self, folder, exposures):
        self.folder, self.exposures = folder, exposures
        self.jobs, self.saved, self.log, self.asked = {}, {}, [], []
        self.new_job("J1", "ctf_estimation", "completed")
        self.jobs["J1"]["spec"]["outputs"] = {
            "exposures": {"type": "exposure", "title": "Micrographs"},
            "exposures_incomplete": {"type": "exposure", "title": "Incomplete"},
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def new_job(self, uid, kind, status):
        spec = {
            "type": kind, "ui_tile_width": 1, "ui_tile_height": 1, "resource_spec": {},
            "inputs": {}, "outputs": {},
        }  # fmt: skip
        self.jobs[uid] = {
            "uid": uid, "uid_num": int(uid[1:]), "project_uid": "P1", "project_uid_num": 1,
            "job_dir": uid, "job_dir_size_last_updated": "2026-01-01T00:00:00Z",
            "status": status, "status_num": 0, "build_errors": [], "spec": spec,
        }  # fmt: skip
        return self.jobs[uid]

    def answer(self, name, at, query, body):
        """Do what a call asks for; what is not there is a KeyError."""
        self.asked.append(name)
        if name == "login":
            return {"access_token": "secret", "token_type": "bearer"}
        if name == "users.me":
            words = dict.fromkeys(("name", "first_name", "last_name"), "Ada")
            return {"email": "ada@example.com", **words}
        if name == "config.get_version":
            return "v5.0.3"
        if at.get("p") != "P1":
            raise KeyError(at.get("p"))
        if name == "projects.find_one":
            return {
                "uid": "P1", "uid_num": 1, "title": "Beautiful", "owner_user_id": "ada",
                "project_dir": str(self.folder), "size_last_updated": "2026-01-01T00:00:00Z",
            }  # fmt: skip
        if name == "projects.get_directory":
            return str(self.folder)
        if name == "projects.download_file":
            return (self.folder / query["path"]).read_bytes()
        if name == "jobs.create":
            return self.new_job(f"J{len(self.jobs) + 1}", query["type"], "building")
        job = self.jobs[at["j"]]
        spec = job["spec"]
        if name == "jobs.add_external_input":
            spec["inputs"][at["i"]] = json.loads(body)
        elif name == "jobs.connect":
            source = self.jobs[query["source_job_uid"]]["spec"]["outputs"]
            assert source[query["source_output_name"]]["type"] == "exposure"
            job["connected"] = query["source_output_name"]
        elif name == "jobs.add_external_output":
            spec["outputs"][at["o"]] = json.loads(body)
        elif name == "jobs.load_input":
            assert job["connected"] == "exposures"
            return self.exposures
        elif name == "jobs.save_output":
            assert job["status"] in ("running", "waiting"), "cryoSPARC 5 saves at no other time"
            assert at["o"] in spec["outputs"]
            self.saved[at["j"], at["o"]] = Dataset.load(BytesIO(body))
        elif name.startswith("jobs.mark_"):
            job["status"] = query.get("status") or name.removeprefix("jobs.mark_")
            job["error"] = query.get("error")
        elif "event_log" in name:
            self.log.append(json.loads(body))
            return {
                "project_uid": "P1", "job_uid": at["j"], "type": query.get("type", "text"),
                "text": self.log[-1], "_id": f"{len(self.log):024}",
            }  # fmt: skip
        return {key: value for key, value in job.items() if key not in ("connected", "error")}

    def _handler(self):
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                url = urlsplit(self.path)
                path = unquote(url.path)[len(API) :]
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                query = {key: _plain(value) for key, value in query.items()}
                body = self._body()
                if path == "/openapi.json":
                    return self._send(200, json.dumps(schema()).encode())
                for name, (method, pattern, *_) in CALLS.items():
                    found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", pattern), path)
                    if not found or method.upper() != self.command:
                        continue
                    try:
                        answer = world.answer(name, found.groupdict(), query, body)
                    except (KeyError, OSError) as error:
                        return self._send(404, json.dumps(f"no {error}").encode())
                    if isinstance(answer, Dataset):
                        return self._send(200, b"".join(answer.stream()), Dataset.media_type)
                    if isinstance(answer, bytes):
                        return self._send(200, answer, "application/octet-stream")
                    return self._send(200, json.dumps(answer).encode())
                return self._send(404, b'"no such call"')

            do_GET = do_POST = do_PUT = reply

            def _body(self):
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def _send(self, status, content, kind="application/json"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        return Handler


def _plain(text):
    """Query values are JSON where they are not plain words."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, str) else text
