import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with open("/srv/notes/last", "w") as file:  # its own folder; gone with the instance
            file.write(self.path)
        body = f"{os.environ['GREETING']} from {os.environ.get('CC_APP_NAME', 'an image')}, user {os.getuid()}\n"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Answer).serve_forever()
