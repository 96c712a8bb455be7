"""Hands letters to a mail server (RFC 5321), by the standard library's client in a worker thread."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

import anyio.to_thread

from havre.base.errors import UnavailableError

TIMEOUT_S = 25.0


@dataclass(frozen=True)
class Server:
    """tls: `no`, `if-offered`, `starttls`, `tls`; see the settings."""

    host: str
    port: int
    sender: str
    tls: str = "if-offered"
    username: str = ""
    password_file: str = ""

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """Raises UnavailableError with the server's words."""
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = self.sender, to, " ".join(subject.split())[:200]
        letter["Message-ID"] = make_msgid(domain="havre.invalid")
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(text)
        await anyio.to_thread.run_sync(self._hand_over, letter)

    def _hand_over(self, letter: EmailMessage) -> None:
        import smtplib

        kind = smtplib.SMTP_SSL if self.tls == "tls" else smtplib.SMTP
        try:
            with kind(self.host, self.port, timeout=TIMEOUT_S) as server:
                server.ehlo()
                if self.tls == "starttls" or (self.tls == "if-offered" and server.has_extn("starttls")):
                    server.starttls(context=ssl.create_default_context())
                    server.ehlo()
                if self.username:
                    server.login(self.username, Path(self.password_file).read_text().splitlines()[0])
                server.send_message(letter)
        except (OSError, smtplib.SMTPException, IndexError) as cause:
            raise UnavailableError(f"the mail server {self.host}:{self.port} refused: {str(cause)[:300]}") from cause
