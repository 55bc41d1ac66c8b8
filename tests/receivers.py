"""What takes messages on loopback while a test runs: a web server that fails as it is told, and a mail server."""

import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Receiver:
    """A web server that keeps what it was sent."""

    statuses: list[int] = field(default_factory=list)
    """What it answers to the next requests; 204 when none is left."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of its answers."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    """Bodies to which it said yes."""
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """Path, headers and body of every request."""
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiving(
    *statuses: int,
    before_answer: Callable[[], None] = lambda: None,
    certificate: Path | None = None,
    **headers: str,
) -> Iterator[Receiver]:
    """A receiver that gives these answers first, each after doing something; with a certificate it speaks TLS."""
    receiver = Receiver(list(statuses), headers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.asked.append((self.path, dict(self.headers), body))
            before_answer()
            status = receiver.statuses.pop(0) if receiver.statuses else 204
            if 200 <= status < 300:
                receiver.taken.append(body)
            with suppress(OSError):  # who asked may be gone
                self.answer(status)

        def answer(self, status: int) -> None:
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def hanging(first_bytes: bytes = b"") -> Iterator[int]:
    """A server that takes connections and says these bytes, one after the other, for as long as anybody listens."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=[connection], daemon=True).start()

    def drip(connection: socket.socket) -> None:
        with connection:
            for byte in first_bytes:
                if over.wait(0.05):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return
            over.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=[listener], daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()


@dataclass
class Mailbox:
    """A mail server that keeps what it was sent."""

    refused: set[str] = field(default_factory=set)
    """Recipients that it does not know."""
    login: tuple[str, str] | None = None
    """Name and password that it asks for."""
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    """Recipients and mail."""
    port: int = 0


@contextmanager
def mail_server(*, refused: set[str] | None = None, login: tuple[str, str] | None = None) -> Iterator[Mailbox]:
    """A mail server that speaks as much of SMTP as a client needs."""
    box = Mailbox(refused or set(), login)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.recipients: list[str] = []
            self.say("220 mail")
            while (line := self.rfile.readline()) and self.obey(line.decode().strip()):
                pass

        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def obey(self, line: str) -> bool:
            word = line.split(" ")[0].upper()
            address = line.partition("<")[2].partition(">")[0]
            if word == "EHLO":
                self.say("250-mail\r\n250 AUTH PLAIN" if box.login else "250 mail")
            elif word == "AUTH":
                self.say("235 welcome" if line.split()[-1] == _plain(box.login) else "535 no")
            elif word == "RCPT":
                self.say("550 unknown" if address in box.refused else "250 yes")
                self.recipients += [] if address in box.refused else [address]
            elif word == "DATA":
                self.say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                box.mails.append((self.recipients, message_from_bytes(b"".join(lines), policy=policy.default)))
                self.say("250 taken")
            else:
                self.say("221 bye" if word == "QUIT" else "250 yes")
            return word != "QUIT"

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()


def _plain(login: tuple[str, str] | None) -> str:
    from base64 import b64encode

    name, password = login or ("", "")
    return b64encode(f"\0{name}\0{password}".encode()).decode()
