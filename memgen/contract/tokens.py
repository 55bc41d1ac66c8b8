"""What a token must be, wherever it comes from: an environment variable or a file."""

SHORTEST, LONGEST = 16, 256
FEWEST_DIFFERENT = 6


def why_bad(token: str) -> str | None:
    """Why a token is too easy to guess or can't go into an HTTP header; None if it is fine.

    Args:
        token: without the white space around it. The reason never shows it.
    """
    if len(token) < SHORTEST:
        return f"the token has {len(token)} characters, and one that nobody guesses has at least {SHORTEST}"
    if len(token) > LONGEST:
        return f"the token has {len(token):,} characters, and a token has at most {LONGEST}"
    if any(not "!" <= character <= "~" for character in token):
        return "the token holds white space or a character that is not ASCII, which no HTTP header can carry"
    if len(set(token)) < FEWEST_DIFFERENT:
        return f"the token has {len(set(token))} different characters, and one that nobody guesses has more"
    return None
