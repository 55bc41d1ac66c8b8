"""Login sessions: a signed id and end in a cookie, and the ids that were logged out."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadSignature, Signer

from memgen.contract.rundir import write_whole

SESSION_SECONDS = 30 * 24 * 3600
BROWSER_SECONDS = 365 * 24 * 3600
COOKIE, BROWSER_COOKIE = "memgen_session", "memgen_browser"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Signed:
    """What a good cookie says."""

    id: str
    end: int
    """Seconds since 1970."""


class Sessions:
    """Makes, checks and ends cookies.

    The key comes from the token: a restart of the dashboard logs nobody out, a new token everybody.

    Args:
        token: what users type in to log in.
        clock: seconds since 1970.
        ended_file: where the ids that were logged out are kept until their cookies end by themselves; None keeps
            them in memory alone.
    """

    def __init__(self, token: str, clock: Callable[[], float], ended_file: Path | None = None) -> None:
        self._token = token.encode()
        self._signers = {purpose: self._signer(purpose) for purpose in (COOKIE, BROWSER_COOKIE)}
        self._clock = clock
        self._file = ended_file
        self._ended = self._read_ended()

    def token_is_right(self, candidate: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(candidate.strip().encode("utf-8", "replace"), self._token)

    def new_cookie(self) -> str:
        """A session's cookie, good for 30 days, of an id that was never used before."""
        return self._sign(COOKIE, SESSION_SECONDS)

    def new_browser_cookie(self) -> str:
        """A cookie that says only that this browser has logged in once; it opens nothing."""
        return self._sign(BROWSER_COOKIE, BROWSER_SECONDS)

    def read(self, value: str) -> Signed | None:
        """The session of a cookie that was made here, for this token, and has not ended."""
        session = self._verify(COOKIE, value)
        return None if session is None or session.id in self._ended else session

    def read_browser(self, value: str) -> Signed | None:
        """The same for the cookie of a browser that has logged in before."""
        return self._verify(BROWSER_COOKIE, value)

    def end(self, session: Signed) -> None:
        """Log a session out: its cookie opens nothing any more, here and after a restart."""
        now = self._clock()
        # read again: another dashboard of this home may have ended sessions meanwhile
        ended = self._read_ended() | self._ended | {session.id: session.end}
        self._ended = {name: end for name, end in ended.items() if end > now}
        if self._file is None:
            return
        lines = "".join(f"{name} {end}\n" for name, end in self._ended.items())
        try:
            write_whole(self._file, lines)
        except OSError as error:
            _log.error("a logout can't be stored in %s (%s): it holds until the next restart", self._file, error)

    def _read_ended(self) -> dict[str, int]:
        if self._file is None:
            return {}
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            _log.error("the sessions that were logged out can't be read from %s: %s", self._file, error)
            return {}
        pairs = (line.split(" ") for line in lines)
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and _is_number(pair[1])}

    def _sign(self, purpose: str, seconds: int) -> str:
        # the end is part of what is signed: a timed signer's would be refused after a clock was set back
        said = f"{secrets.token_hex(16)}.{int(self._clock()) + seconds}"
        return self._signers[purpose].sign(said).decode()

    def _verify(self, purpose: str, value: str) -> Signed | None:
        try:
            said = self._signers[purpose].unsign(value.encode("utf-8", "replace")).decode()
        except BadSignature:  # what a forged cookie says is never read
            return None
        name, _, end = said.partition(".")
        return Signed(name, int(end)) if _is_number(end) and int(end) > self._clock() else None

    def _signer(self, purpose: str) -> Signer:
        return Signer(
            self._token, salt=f"memgen dashboard {purpose}", key_derivation="hmac", digest_method=hashlib.sha256
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
