"""Section 3, as far as the OSCAR admin: Basic authentication."""
import base64
import os

import pytest

from harness import expect
from harness.app import run
from harness.client import ADMIN, PASSWORD, USER, basic

CHALLENGE = 'Basic realm="Authorization Required"'


def encoded(data):
    return "Basic " + base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def app(start_shared):
    return start_shared()


def is_admin(app, auth):
    return app.get("/system/metrics", auth=auth).status == 200


@pytest.mark.parametrize("auth", [ADMIN, ADMIN.replace("Basic", "basic"), ADMIN.replace("Basic", "BASIC"),
                                  ADMIN.replace("Basic ", "bAsIc ")])
def test_the_admin_gets_in_and_the_scheme_has_no_case(app, auth):
    assert is_admin(app, auth)


@pytest.mark.parametrize("path", ["/system/metrics", "/system/metrics/", "/system/metrics/breakdown",
                                  "/system/metrics/owners", "/system/metrics/yolo"])
def test_every_report_needs_credentials(app, path):
    answer = app.get(path, auth=None)
    expect.plain(answer, 401, "authentication required")
    assert answer.all("WWW-Authenticate") == [CHALLENGE]


# A scheme that nobody knows is no credentials.
NONE = {"empty": "", "blank": " ", "unknown scheme": "Digest username=admin", "no scheme": ADMIN.split(" ")[1],
        "another scheme with the right rest": ADMIN.replace("Basic", "Token"),
        "a scheme that begins like one": "Basics " + ADMIN[6:],
        "negotiate": "Negotiate abc"}


@pytest.mark.parametrize("row", NONE)
def test_without_credentials(app, row):
    answer = app.get("/system/metrics", auth=NONE[row])
    expect.plain(answer, 401, "authentication required")
    assert answer.all("WWW-Authenticate") == [CHALLENGE]


WRONG = {
    "wrong password": basic(password="x"),
    "wrong user": basic(user="root"),
    "both wrong": basic("x", "y"),
    "empty password": basic(password=""),
    "empty user": basic(user=""),
    "both empty": basic("", ""),
    "no colon": encoded(USER.encode()),
    "nothing at all": encoded(b""),
    "a colon alone": encoded(b":"),
    "password with more behind": basic(password=PASSWORD + "x"),
    "password cut short": basic(password=PASSWORD[:-1]),
    "password in another case": basic(password=PASSWORD.upper()),
    "user in another case": basic(user=USER.upper()),
    "user with more behind": basic(user=USER + "x"),
    "user cut short": basic(user=USER[:-1]),
    "user and password swapped": basic(PASSWORD, USER),
    "a NUL behind the password": encoded(f"{USER}:{PASSWORD}\0".encode()),
    "a NUL behind the user": encoded(f"{USER}\0x:{PASSWORD}".encode()),
    "white space around": encoded(f" {USER}:{PASSWORD} ".encode()),
    "a line end behind": encoded(f"{USER}:{PASSWORD}\n".encode()),
    "no base64": "Basic !!!!",
    "plain text": f"Basic {USER}:{PASSWORD}",
    "junk behind the base64": ADMIN + "!",
    "junk in the base64": ADMIN[:10] + "*" + ADMIN[10:],
    "something behind a blank": ADMIN + " x",
    "no UTF-8": encoded(b"\xff\xfe:\xff"),
    "very long": basic(password="x" * 40000),
}


@pytest.mark.parametrize("row", WRONG)
def test_wrong_credentials(app, row):
    answer = app.get("/system/metrics", auth=WRONG[row])
    expect.plain(answer, 401, "invalid credentials")
    assert answer.all("WWW-Authenticate") == [CHALLENGE]


def test_a_scheme_alone_is_refused(app):
    for auth in ("Basic", "Basic ", "basic"):
        answer = app.get("/system/metrics", auth=auth)
        assert answer.status == 401
        assert answer.all("WWW-Authenticate") == [CHALLENGE]


@pytest.mark.parametrize("auth", ["Bearer x", "Bearer ", "bearer x", "BEARER a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.",
                                  "Bearer " + "x" * 60000])
def test_a_bearer_is_refused_without_a_basic_challenge(app, auth):
    # A Basic challenge would open the browser's login box over a dashboard whose token has expired.
    answer = app.get("/system/metrics", auth=auth)
    assert answer.status == 401
    assert answer.all("WWW-Authenticate") == ['Bearer error="invalid_token"']
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    expect.common_headers(answer)


def test_a_name_that_the_web_server_believes_is_not_believed(app):
    more = {"REMOTE_USER": USER, "AUTH_TYPE": "Basic", "HTTP_REMOTE_USER": USER, "HTTP_X_FORWARDED_USER": USER}
    expect.plain(app.get("/system/metrics", auth=None, **more), 401, "authentication required")
    expect.plain(app.get("/system/metrics", auth=basic(password="x"), **more), 401, "invalid credentials")


def test_credentials_in_the_query_are_not_looked_at(app):
    answer = app.get("/system/metrics", f"authorization={ADMIN}&access_token=x", auth=None)
    expect.plain(answer, 401, "authentication required")


def test_name_and_password_have_a_length(start):
    """8 KiB with the colon; more than that cannot be configured either."""
    longest = "x" * (8 * 1024 - len(USER + ":"))
    app = start({"OSCAR_PASSWORD": longest})
    assert is_admin(app, basic(password=longest))
    assert not is_admin(app, basic(password=longest + "x"))
    done = run(settings={"OSCAR_PASSWORD": longest + "x"})
    assert done.returncode == 1
    assert "OSCAR_PASSWORD: is more than 8 KiB together with OSCAR_USERNAME" in done.stderr


ODD_PASSWORDS = ["pass:with:colons", ":", "pässwörd – 密码", " leading and trailing ", "x" * 4000, "%41+&=\"'\\",
                 "a=b", "$HOME"]


@pytest.mark.parametrize("password", ODD_PASSWORDS, ids=lambda password: ascii(password)[:20])
def test_odd_passwords_work(start, password):
    app = start({"OSCAR_PASSWORD": password})
    assert is_admin(app, basic(password=password))
    assert not is_admin(app, basic(password=password + "x"))
    assert not is_admin(app, basic(password=password[:-1]))
    if ":" in password:
        assert not is_admin(app, basic(password=password.split(":")[0]))


def test_an_odd_user_works(start):
    app = start({"OSCAR_USERNAME": "Jürgen O'Neill"})
    assert is_admin(app, basic(user="Jürgen O'Neill"))
    assert not is_admin(app, ADMIN)


def test_the_password_may_come_from_a_file_that_changes(start, folder):
    file = folder / "password"
    file.write_text("first")
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": file})
    assert is_admin(app, basic(password="first"))
    # As Kubernetes does it: a new file under the old name.
    (folder / "new").write_text("second")
    os.rename(folder / "new", file)
    assert is_admin(app, basic(password="second"))
    assert not is_admin(app, basic(password="first"))


def test_a_line_end_behind_a_secret_in_a_file_does_not_count(start, folder):
    (folder / "password").write_text("word\n")
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": folder / "password"})
    assert is_admin(app, basic(password="word"))


def test_the_user_may_come_from_a_file(start, folder):
    (folder / "user").write_text("somebody")
    app = start({"OSCAR_USERNAME": None, "OSCAR_USERNAME_FILE": folder / "user"})
    assert is_admin(app, basic(user="somebody"))


@pytest.mark.fastcgi  # a process of CGI has no good state to keep
def test_when_the_changed_file_is_unusable_the_old_secret_stays(start, folder):
    file = folder / "password"
    file.write_text("first")
    app = start({"OSCAR_PASSWORD": None, "OSCAR_PASSWORD_FILE": file})
    file.unlink()
    assert not is_admin(app, basic(password=""))
    assert is_admin(app, basic(password="first"))


def test_no_credentials_reach_the_log(start):
    app = start()
    for auth in (ADMIN, basic(password="guess-4711"), "Basic Z3Vlc3M0NzEx", "Bearer guess.4711.x", "Basic guess-4711"):
        app.get("/system/metrics", "end=x", auth=auth)
    text = app.stderr()
    for secret in (PASSWORD, ADMIN[6:], "guess-4711", "Z3Vlc3M0NzEx", "guess.4711"):
        assert secret not in text
