"""The HTML of the login: one form, no script, nothing loaded from anywhere."""

from functools import partial
from html import escape
from urllib.parse import urlencode

from dashboard.parts.catalogue import LANGUAGES
from dashboard.parts.language import PARAMETER, translated

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

_STYLE = """
:root { color-scheme: light dark; --bg: #f6f8f8; --card: #ffffff; --text: #16211f; --soft: #5b6a67;
  --line: #d9e1df; --accent: #0f766e; --on-accent: #ffffff; --bad: #b42318; --bad-bg: #fef3f2; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #0f1615; --card: #18221f; --text: #e4edeb; --soft: #9db0ac; --line: #2c3a37;
    --accent: #0f7d6f; --on-accent: #ffffff; --bad: #fda29b; --bad-bg: #3a1512; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--bg); color: var(--text);
  font: 16px/1.5 "Source Sans 3", ui-sans-serif, system-ui, sans-serif; }
main { width: 100%; max-width: 25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 2rem; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; letter-spacing: -.01em; }
p { margin: 0 0 1.25rem; color: var(--soft); }
label { display: block; font-weight: 600; margin-bottom: .35rem; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: 8px; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
small { display: block; margin: .5rem 0 1.25rem; color: var(--soft); }
code { font-size: .9em; overflow-wrap: anywhere; }
button { width: 100%; padding: .65rem 1rem; font: inherit; font-weight: 600; color: var(--on-accent);
  background: var(--accent); border: 0; border-radius: 8px; cursor: pointer; }
.error { color: var(--bad); background: var(--bad-bg); border-radius: 8px; padding: .6rem .75rem;
  margin: 0 0 1rem; }
"""


def login_page(next_path: str, language: str, error: str = "") -> str:
    """The login form.

    Args:
        next_path: local path to go to after the login.
        language: code of the reader's language.
        error: what was wrong with the last try, plain text.
    """
    say = partial(translated, language)
    message = f'<p class="error" id="login-error" role="alert">{escape(error)}</p>' if error else ""
    described = "token-help login-error" if error else "token-help"
    where = escape(say("{command} prints it; it is also in {file}.")).format(
        command="<code>make up</code>", file="<code>&lt;MEMGEN_HOME&gt;/backend/token</code>"
    )
    return _document(
        say("Log in"),
        f"""<h1>MemGen</h1>
<p>{escape(say("Log in to launch and watch runs."))}</p>
{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(next_path)}">
<label for="token">{escape(say("Token"))}</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password"
 aria-describedby="{described}">
<small id="token-help">{where}</small>
<button type="submit">{escape(say("Log in"))}</button>
</form>
<p></p><p>{_other_languages(next_path, language)}</p>""",
        language,
    )


def _other_languages(next_path: str, language: str) -> str:
    """A link to this page in each other language."""
    return " · ".join(
        f'<a href="/login?{escape(urlencode({PARAMETER: code, "next": next_path}))}" lang="{code}">{escape(word)}</a>'
        for code, word in LANGUAGES.items()
        if code != language
    )


def logout_page(language: str) -> str:
    """The question before a logout: a link alone must not log anybody out."""
    say = partial(translated, language)
    return _document(
        say("Log out"),
        f"""<h1>{escape(say("Log out?"))}</h1>
<p>{escape(say("This ends the session of this browser. Runs go on."))}</p>
<form method="post" action="/logout"><button type="submit">{escape(say("Log out"))}</button></form>
<p></p><p><a href="/">{escape(say("Back to MemGen"))}</a></p>""",
        language,
    )


def message_page(title: str, text: str, language: str) -> str:
    """A page that only says something, plain text in the reader's language."""
    return _document(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>", language)


def reload_page(path: str, language: str) -> str:
    """A page that opens `path` at once, as a request of this site."""
    link = f'<a href="{escape(path)}">MemGen</a>'
    return _document(
        "MemGen",
        f"<p>{escape(translated(language, 'Opening {page} ...')).format(page=link)}</p>",
        language,
        head=f'<meta http-equiv="refresh" content="0;url={escape(path)}">',
    )


def _document(title: str, body: str, language: str, head: str = "") -> str:
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · MemGen</title>{head}<style>{_STYLE}</style></head>
<body><main>
{body}
</main></body></html>"""
