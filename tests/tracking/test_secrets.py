"""No password leaves the machine in an address, whatever characters it has."""

import random
import shlex
import string
from urllib.parse import quote

import pytest

from kerasdl.tracking.secrets import hide

# All printable characters that a user may type; blanks and quotes are tested separately.
CHARACTERS = string.ascii_letters + string.digits + "@:/%!$&'()*+,;=-._~?#[]^{}|\\"
ADDRESSES = (
    "postgresql://anna:{}@db.example.org:5432/runs",
    "mysql+pymysql://anna:{}@[::1]/runs?charset=utf8",
    "http://:{}@127.0.0.1:5000",
    "https://anna:{}@example.org/a/b?x=1#y",
)
TEXTS = (
    "{}",
    "tracking.uri={}",
    "The server {} doesn't answer.",
    "-STORE = '{}'\n+STORE = os.environ['STORE']\n",
    '{{"uri": "{}", "mail": "anna@example.org"}}',
    '<a href="{}">anna@example.org</a>',
    "first {0} second {0}",
    "{0},{0}",
)


def passwords(count, seed=0):
    """Yields passwords with a recognisable beginning and end, and anything between."""
    draw = random.Random(seed)
    for _ in range(count):
        yield f"Geh{''.join(draw.choices(CHARACTERS, k=draw.randint(0, 12)))}eim"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("text", TEXTS)
def test_a_password_of_any_characters_is_hidden_in_any_text(address, text):
    for password in passwords(300):
        for written in (password, quote(password, safe="")):
            shown = hide(text.format(address.format(written)))
            assert "Geh" not in shown, (password, shown)
            assert "eim" not in shown, (password, shown)
            assert "***@" in shown


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_rest_of_the_address_stays(address):
    for password in ("geheim", "p@ss", "a:b", "a/b", "%40%3A", "@@", "x?y", "#1"):
        assert hide(address.format(password)) == address.format("***")


@pytest.mark.parametrize("password", ["it's", 'a"b', "a b", "$HOME", "a`b"])
def test_a_command_line_has_no_password(password):
    """Each argument is a separate address, so that the shell's quotes don't matter."""
    words = ["python", "-m", "kerasdl.train", f"tracking.uri=postgresql://u:{password}@h/d"]
    shown = shlex.join(map(hide, words))
    assert password not in shown or password == "a b"


@pytest.mark.parametrize(
    "name", ["password", "token", "access_token", "X-Amz-Signature", "api_key", "apikey", "client_secret", "PWD"]
)
def test_what_a_query_says_is_hidden(name):
    for value in ("f00", "a%40b", "a:b", "a/b=="):
        assert hide(f"see http://h:1/x?a=1&{name}={value}&b=2.") == f"see http://h:1/x?a=1&{name}=***&b=2."
        assert hide(f"http://h/x?{name}={value}#end") == f"http://h/x?{name}=***#end"
    assert "geheim" not in hide(f"http://h:1/x?{name}=a:b@geheim")


def test_a_token_in_place_of_a_name_is_hidden():
    assert hide("https://ghp_0123456789abcdefghij@github.com/a/b") == "https://***@github.com/a/b"
    assert hide("https://x:ghp_0123456789abcdefghij@github.com/a/b") == "https://x:***@github.com/a/b"


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/anna/runs.db",
        "http://127.0.0.1:5000/#/experiments/1 and anna@example.org",
        "models:/digits@champion",
        '{"uri":"http://127.0.0.1:5000","mail":"anna@example.org"}',
        '<a href="http://127.0.0.1:5000/">anna@example.org</a>',
        "git@github.com:anna/repository.git",
        "ssh://git@github.com/anna/repository.git",
        "postgresql://anna@db/runs?sslmode=require",
        "x = a if b else c  # anna@example.org: see http://host/a:b",
        "decorator: @property\n  key=value&token",
    ],
)
def test_what_is_no_secret_stays(text):
    assert hide(text) == text
