"""What a token must be, wherever it comes from: an environment variable or a file."""

from memgen.contract.errors import BadInput

SHORTEST, LONGEST = 16, 256
FEWEST_DIFFERENT = 6
_MAKE_ONE = "Unset it and one is made at the start, or make one: `openssl rand -base64 24`."


def checked_token(token: str, field: str, *, way_out: str = _MAKE_ONE) -> str:
    """The token, if nobody can guess it and an HTTP header can carry it.

    Args:
        token: without the white space around it.
        field: setting or file that it comes from.
        way_out: what to do about a bad one.

    Raises:
        BadInput: `bad_token`; the error never shows the token.
    """
    if len(token) < SHORTEST:
        reason = f"the token has {len(token)} characters, and one that nobody guesses has at least {SHORTEST}"
    elif len(token) > LONGEST:
        reason = f"the token has {len(token):,} characters, and a token has at most {LONGEST}"
    elif any(not "!" <= character <= "~" for character in token):
        reason = "the token holds white space or a character that is not ASCII, which no HTTP header can carry"
    elif len(set(token)) < FEWEST_DIFFERENT:
        reason = f"the token has {len(set(token))} different characters, and one that nobody guesses has more"
    else:
        return token
    raise BadInput("bad_token", reason, field=field, way_out=way_out)
