"""What the settings of all services have in common: environment variables, checked once and refused in words.

A variable that is set to nothing counts as unset. With MEMGEN_SECRETS a folder holds some of them as files of the same
name in small letters (`memgen_token`), as container engines hand out secrets.
"""

import os
import re
import warnings
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.serving import redis_address
from memgen.contract import home as homes
from memgen.contract.errors import BadInput
from memgen.contract.tokens import why_bad

SECRET = {"token", "worker_token", "redis_password", "smtp_password"}
"""Fields whose values are never shown."""
SECRETS = "MEMGEN_SECRETS"
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?")


def check_token(value: str) -> str:
    """A token that fits into a header and is hard to guess.

    Raises:
        ValueError: this one is not.
    """
    token = value.strip()
    if token and (reason := why_bad(token)) is not None:
        raise ValueError(f"{reason}; `openssl rand -base64 24` makes a good one")
    return token


def read_token(path: Path) -> str:
    """The token in a file, which is kept from others.

    Raises:
        BadInput: `bad_token_file`.
    """
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        token, reason = path.read_text(encoding="utf-8").strip(), "is empty"
        check_token(token)
    except OSError as error:
        token, reason = "", f"can't be read: {error.strerror}"
    except UnicodeDecodeError:
        token, reason = "", "holds no text"
    except ValueError as error:
        token, reason = "", f"can't be used: {error}"
    if not token:
        raise BadInput(
            "bad_token_file",
            f"the token file {reason}",
            field=homes.SETTING,
            value=path,
            way_out="The backend makes it when it starts and finds none; a token can be set in MEMGEN_TOKEN, too.",
        )
    return token


def check_host(value: str) -> str:
    """An address or the name of a host; the brackets of an IPv6 address in a URL may be there or not.

    Raises:
        ValueError: it is neither.
    """
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        ip_address(bare)
    except ValueError:
        if len(bare) > 253 or not _NAME.fullmatch(bare):
            raise ValueError("this is neither an address nor the name of a host") from None
    return bare


def check_url(value: str) -> str:
    """The address of a backend.

    Raises:
        ValueError: it is no address that a path can be put after.
    """
    form = "the address of a backend is http://HOST:PORT"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(form) from None
    if parts.scheme not in {"http", "https"} or not host or not value.isprintable() or " " in value:
        raise ValueError(form)
    check_host(host)
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise ValueError(f"{form}, without a password, ? or #")
    return value


def url_of(host: str, port: int) -> str:
    """The address to type for something that listens on a host and port."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://{host}:{port}" if address.version == 4 else f"http://[{host}]:{port}"


Seconds = Annotated[float, Field(ge=0.01, le=86_400, allow_inf_nan=False)]
"""A time between two of something."""
Pause = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""A time that may be none."""
Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, AfterValidator(check_host)]
Url = Annotated[str, AfterValidator(check_url)]
Token = Annotated[str, AfterValidator(check_token)]


class Variables(BaseSettings):
    """Where everything lies."""

    model_config = SettingsConfigDict(
        env_prefix="MEMGEN_",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        extra="ignore",
        hide_input_in_errors=True,  # some are secrets
    )

    home: Annotated[Path, AfterValidator(homes.home_path)] = Path(homes.DEFAULT)
    """Folder of everything: database, runs, models, outputs."""

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not isinstance(value, str) or value.strip()}

    @classmethod
    def read(cls, **given: str) -> Self:
        """The settings of this process.

        Args:
            given: what wins over the environment.

        Raises:
            BadInput: `bad_setting`, `bad_home`, `bad_group`.
        """
        folder = os.environ.get(SECRETS) or None
        if folder is not None and not Path(folder).is_dir():
            raise _bad_setting("there is no such folder", SECRETS, folder)
        try:
            with warnings.catch_warnings(action="ignore"):
                return cls(**{"_secrets_dir": folder, **given})  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            value = redis_address.shown(str(first["input"])) if name == "REDIS_URL" else first["input"]
            value = None if name in SECRET else value
            setting = name if name.isupper() else f"MEMGEN_{name.upper()}"
            raise _bad_setting(first["msg"].removeprefix("Value error, "), setting, value) from None
        except UnicodeDecodeError:
            raise _bad_setting("a file in it is no text", SECRETS, folder) from None


class RedisVariables(Variables):
    """Where everything lies, and where doorbells go."""

    redis_url: Annotated[str, AfterValidator(redis_address.check)] = Field(
        default="redis://127.0.0.1:6379/0", validation_alias="REDIS_URL", repr=False
    )
    """Where doorbells go: redis://HOST:PORT/DB or unix:///PATH."""
    redis_password: str = Field(default="", repr=False)
    """Password of that server, if REDIS_URL does not hold one."""

    @property
    def names_redis(self) -> bool:
        """Whether REDIS_URL is set; else `up` starts a server of its own."""
        return "redis_url" in self.model_fields_set

    @model_validator(mode="after")
    def _put_in_password(self) -> Self:
        if self.redis_password and self.names_redis:
            self.redis_url = redis_address.with_password(self.redis_url, self.redis_password)
        return self


def _bad_setting(message: str, setting: str, value: object) -> BadInput:
    return BadInput("bad_setting", message, field=setting, value=value, way_out="Set it to another value or unset it.")
