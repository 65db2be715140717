"""A hub and its storage on loopback for bench/hubThroughput.mjs: the answers that `hf download` and Huacaya need, bodies sent by the kernel
straight from the files (sendfile), so that the server takes as little as possible of the processors that both clients share with it.

usage: hubServer.py FOLDER HASHES.json      prints the port of the hub
"""
import json
import os
import re
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

FOLDER, HASHES = sys.argv[1], json.load(open(sys.argv[2]))
REPO, COMMIT = "bench/model", "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        if "content-length" not in headers:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value):
        self.answer(200, {"content-type": "application/json", "x-repo-commit": COMMIT}, json.dumps(value).encode())

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


class Hub(Handler):
    def do_GET(self):
        path = unquote(self.path.split("?")[0])
        sizes = {name: os.path.getsize(os.path.join(FOLDER, name)) for name in HASHES}
        if "/tree/" in path:
            lfs = lambda n: {"oid": HASHES[n], "size": sizes[n], "pointerSize": 134}
            self.json([{"type": "file", "path": n, "size": sizes[n], "oid": "a" * 40, "lfs": lfs(n)} for n in HASHES])
        elif path.startswith("/api/models/"):
            lfs = lambda n: {"sha256": HASHES[n], "size": sizes[n], "pointerSize": 134}
            files = [{"rfilename": n, "size": sizes[n], "blobId": "a" * 40, "lfs": lfs(n)} for n in HASHES]
            self.json({"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": files, "private": False})
        elif path.split("/")[-1] in HASHES:
            name = path.split("/")[-1]
            linked = {"x-linked-etag": f'"{HASHES[name]}"', "x-linked-size": sizes[name], "x-repo-commit": COMMIT}
            where = f"http://127.0.0.1:{storage.server_address[1]}/signed/{name}?X-Amz-Signature=s"
            self.answer(302, {**linked, "location": where})
        else:
            self.answer(404, {"x-error-code": "EntryNotFound"})


class Storage(Handler):
    def do_GET(self):
        name = unquote(self.path.split("?")[0]).split("/")[-1]
        with open(os.path.join(FOLDER, name), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("range") or "")
            start = int(asked[1]) if asked else 0
            end = int(asked[2]) + 1 if asked and asked[2] else size
            headers = {"etag": f'"{HASHES[name]}"', "accept-ranges": "bytes", "content-length": end - start}
            if asked:
                headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
            self.answer(206 if asked else 200, headers)
            if self.command == "HEAD":
                return
            self.wfile.flush()
            while start < end:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, min(end - start, 1 << 22))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


storage = Server(("127.0.0.1", 0), Storage)
hub = Server(("127.0.0.1", 0), Hub)
threading.Thread(target=storage.serve_forever, daemon=True).start()
print(hub.server_address[1], flush=True)
hub.serve_forever()
