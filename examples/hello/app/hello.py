"""Greets whoever asks, and says once a second that it is there."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = os.environ.get("GREETING", "Hello")
PORT = 8000


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ("ok\n" if self.path == "/health" else f"{GREETING}, you asked for {self.path}\n").encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-") -> None:
        if self.path != "/health":
            super().log_request(code, size)


def main() -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    server = ThreadingHTTPServer(("", PORT), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on {PORT}")
    seconds = 0
    while not stop.wait(1):
        seconds += 1
        print(f"{GREETING}, for {seconds} s now")
    print("stopped")


if __name__ == "__main__":
    main()
