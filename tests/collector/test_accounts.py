"""Getting in and being in: second factor, sessions, tries, one-time links, the audit trail; and attacks on it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from collector.core import attempts, totp
from collector.core.audit import Deed, is_leaf, leaf_bytes
from collector.sessions import BOARD_MS, IDLE_MS, LOGIN_MS, SessionStore
from collector.settings import read_settings
from collector.statements import statements_of
from collector.web import create_app
from tests.collector.kit import ORIGIN
from tests.collector.test_web_world import BASE, PASSWORD, World, code_of, enrol_totp, get, login, token, world
from wire.errors import Misconfigured, Refused

PASSPHRASE = "con trau di truoc cai cay"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(1)
        yield made


def post(client: FlaskClient, path: str, page: str, **form: str) -> TestResponse:
    whole = {"csrf_token": token(client, page), **form}
    return client.post(path, data=whole, base_url=BASE, headers={"Referer": f"{BASE}{page}"})


def deeds(here: World) -> list[tuple[str, str, str]]:
    return [(one.actor, one.what, one.target) for one in reversed(here.entrance.trail.read(100))]


# --- second factor ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digest", "length", "vectors"),
    [
        ("sha1", 20, {59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924",
                      2000000000: "69279037", 20000000000: "65353130"}),
        ("sha256", 32, {59: "46119246", 1111111109: "68084774", 20000000000: "77737706"}),
        ("sha512", 64, {59: "90693936", 1111111109: "25091201", 20000000000: "47863826"}),
    ],
)  # fmt: skip
def test_the_vectors_of_rfc_6238(digest: str, length: int, vectors: dict[int, str]) -> None:
    secret = (b"1234567890" * 7)[:length]
    for at_s, expected in vectors.items():
        assert totp.code(secret, at_s // 30, 8, digest) == expected


def test_a_code_is_taken_in_its_window_once_and_never_again() -> None:
    secret, now_ms = b"k" * 20, 1_790_000_000_000
    step = now_ms // 30_000
    for drift in (-1, 0, 1):
        assert totp.matching_step(secret, totp.code(secret, step + drift), now_ms, None) == step + drift
    for drift in (-2, 2):
        assert totp.matching_step(secret, totp.code(secret, step + drift), now_ms, None) is None
    assert totp.matching_step(secret, totp.code(secret, step), now_ms, step) is None
    assert totp.matching_step(secret, totp.code(secret, step - 1), now_ms, step) is None


def test_operator_and_official_get_in_with_a_code_only_and_the_answer_tells_nothing(here: World) -> None:
    for name in ("operator", "official"):
        without = login(here.client(), name, otp="")
        wrong_code = login(here.client(), name, otp="000000")
        wrong_password = login(here.client(), name, "x", otp=code_of(here.client(), name))
        assert [one.status_code for one in (without, wrong_code, wrong_password)] == [401, 401, 401]
        strip = re.compile(r'name="csrf_token" value="[^"]+"')
        assert len({strip.sub("", one.text) for one in (without, wrong_code, wrong_password)}) == 1
        assert login(here.client(), name).status_code == 302
    assert login(here.client(), "technician", otp="").status_code == 302


def test_a_code_that_was_used_opens_nothing_more(here: World) -> None:
    seen = code_of(here.client(), "operator")
    assert login(here.client(), "operator", otp=seen).status_code == 302
    assert login(here.client(), "operator", otp=seen).status_code == 401
    here.now_ms += 25_000  # still in its window
    assert login(here.client(), "operator", otp=seen).status_code == 401


def test_a_wrong_password_uses_no_code_up(here: World) -> None:
    seen = code_of(here.client(), "operator")
    assert login(here.client(), "operator", "x", otp=seen).status_code == 401
    assert login(here.client(), "operator", otp=seen).status_code == 302


def test_a_recovery_code_opens_once_and_is_nowhere_in_the_files(here: World) -> None:
    codes = enrol_totp(here.entrance, "operator")
    assert len(set(codes)) == 10
    assert login(here.client(), "operator", otp=codes[3].upper()).status_code == 302
    assert login(here.client(), "operator", otp=codes[3]).status_code == 401
    assert here.entrance.accounts.codes_left("operator") == 9
    with closing(sqlite3.connect(here.settings.registry)) as db:
        dump = "\n".join(db.iterdump())
    assert not any(code.replace("-", "") in dump or code in dump for code in codes)


def test_without_a_second_factor_an_operator_sees_nothing_but_its_set_up(here: World) -> None:
    here.entrance.accounts.drop_totp("operator")
    client = here.client()
    assert login(client, "operator").headers["Location"] == "/account/second-factor"
    assert get(client, "/operator").headers["Location"] == "/account/second-factor"
    assert get(client, "/api/v1/probes").status_code == 403
    assert get(client, "/samples/p-one/1/0.note").status_code in {302, 403}
    page = get(client, "/account/second-factor").text
    key = re.search(r'<code class="long">([A-Z2-7]{32})</code>', page)
    assert key is not None
    assert "data:image/svg+xml" in page
    assert post(client, "/account/second-factor", "/account/second-factor", otp="123456").status_code == 422
    import base64  # noqa: PLC0415

    now = totp.code(base64.b32decode(key[1]), here.now_ms // 30_000)
    done = post(client, "/account/second-factor", "/account/second-factor", otp=f"{now[:3]} {now[3:]}")
    assert done.status_code == 200
    assert len(re.findall(r"<code>[a-z0-9]{5}-[a-z0-9]{5}</code>", done.text)) == 10
    assert get(client, "/operator").status_code == 200
    assert login(here.client(), "operator", otp=now).status_code == 401, "the code of the set-up is used up too"


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_that_was_fixed_beforehand_is_not_the_one_after_the_login(here: World) -> None:
    client = here.client("technician")
    with client.session_transaction(base_url=BASE) as held:
        planted = held["sid"]
    other = here.client()
    with other.session_transaction(base_url=BASE) as held:
        held["sid"] = "chosen-by-an-attacker"
    assert login(other, "operator").status_code == 302
    with other.session_transaction(base_url=BASE) as held:
        assert held["sid"] not in {"chosen-by-an-attacker", planted}
    assert here.entrance.sessions.find("chosen-by-an-attacker", here.now_ms, is_use=False) is None
    # A login in a browser that is in already ends the session before.
    assert login(client, "operator").status_code == 302
    assert here.entrance.sessions.find(planted, here.now_ms, is_use=False) is None


def test_the_cookie_names_a_session_that_only_the_database_knows(here: World) -> None:
    client = here.client("operator")
    cookie = client.get_cookie("__Host-dosong", domain="dosong.example")
    assert cookie is not None
    assert (cookie.secure, cookie.http_only, cookie.path, cookie.same_site) == (True, True, "/", "Lax")
    with client.session_transaction(base_url=BASE) as held:
        text = held["sid"]
    raw = (here.settings.state / "session.db").read_bytes()
    assert text.encode() not in raw
    stolen = here.app.test_client()
    stolen.set_cookie("__Host-dosong", cookie.value, domain="dosong.example", secure=True)
    assert get(stolen, "/operator").status_code == 200
    assert post(client, "/logout", "/account").status_code == 302
    assert get(stolen, "/operator").status_code == 302, "the copy died with the session"


def test_a_session_ends_when_idle_and_after_its_time(here: World) -> None:
    client = here.client("operator")
    here.now_ms += IDLE_MS - 1
    assert get(client, "/operator").status_code == 200
    here.now_ms += IDLE_MS - 1
    assert get(client, "/operator").status_code == 200
    here.now_ms += IDLE_MS
    assert get(client, "/operator").status_code == 302
    client, begun_ms = here.client("operator"), here.now_ms
    while here.now_ms - begun_ms + IDLE_MS - 1 < LOGIN_MS:
        here.now_ms += IDLE_MS - 1
        assert get(client, "/operator").status_code == 200
    here.now_ms = begun_ms + LOGIN_MS
    assert get(client, "/operator").status_code == 302


def test_a_page_that_renews_itself_keeps_no_session_alive(here: World) -> None:
    client = here.client("operator")
    for _ in range(3):
        here.now_ms += IDLE_MS // 2
        get(client, "/api/feed?after=0")
    assert get(client, "/operator").status_code == 302


def test_sessions_are_listed_and_ended_one_or_all(here: World) -> None:
    one, two, three = (here.client("operator") for _ in range(3))
    page = get(one, "/account").text
    names = re.findall(r'name="session" value="([0-9a-f]{16})"', page)
    assert len(names) == 3
    with two.session_transaction(base_url=BASE) as held:
        found = here.entrance.sessions.find(held["sid"], here.now_ms, is_use=False)
    assert found is not None
    assert post(one, "/account/sessions", "/account", session=found.name).status_code == 303
    assert [get(client, "/operator").status_code for client in (one, two, three)] == [200, 302, 200]
    assert post(one, "/account/sessions", "/account", session="others").status_code == 303
    assert [get(client, "/operator").status_code for client in (one, three)] == [200, 302]
    mine = here.entrance.sessions.of("operator", "login", here.now_ms)[0].name
    assert post(here.client("technician"), "/account/sessions", "/account", session=mine).status_code == 404
    assert get(one, "/operator").status_code == 200


def test_a_new_password_ends_every_other_session_and_must_be_good(here: World) -> None:
    client, other = here.client("operator"), here.client("operator")

    def change(current: str, password: str, again: str | None = None) -> int:
        form = {"current": current, "password": password, "again": password if again is None else again}
        return post(client, "/account/password", "/account", **form).status_code

    bad = ("short", "operator-operator", "aaaaaaaaaaaaaaaa")
    assert [change(PASSWORD, one) for one in bad] == [422] * 3
    assert change("not mine", PASSPHRASE) == 422
    assert change(PASSWORD, PASSPHRASE, "another one here") == 422
    assert change(PASSWORD, PASSPHRASE) == 303
    assert (get(client, "/operator").status_code, get(other, "/operator").status_code) == (200, 302)
    assert login(here.client(), "operator").status_code == 401
    assert login(here.client(), "operator", PASSPHRASE).status_code == 302


def test_a_disabled_account_is_out_at_once(here: World) -> None:
    client = here.client("operator")
    here.entrance.accounts.touch("operator", here.now_ms, "disabled")
    assert get(client, "/operator").status_code == 302
    assert login(client, "operator").status_code == 401
    here.entrance.accounts.touch("operator", here.now_ms, "active")
    assert login(client, "operator").status_code == 302


# --- forms ------------------------------------------------------------------------------------------------------------


def test_every_form_needs_its_own_token_from_this_site(here: World) -> None:
    """All POSTs of the application, without, with a wrong, and with another visitor's token; and from elsewhere."""
    client, stranger = here.client("operator"), here.client("operator")
    foreign = token(stranger, "/account")
    own = token(client, "/account")
    posts = [rule for rule in here.app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    assert len(posts) > 10
    for rule in posts:
        path = re.sub(r"<[^>]+>", "x", re.sub(r"<int[^>]*>", "1", rule.rule))
        for given in ({}, {"csrf_token": "wrong"}, {"csrf_token": foreign}):
            answer = client.post(path, data=given, base_url=BASE, headers={"Referer": f"{BASE}/account"})
            assert answer.status_code == 400, (path, given)
        elsewhere = {"Referer": "https://evil.example/"}
        answer = client.post(path, data={"csrf_token": own}, base_url=BASE, headers=elsewhere)
        assert answer.status_code == 400, path


# --- tries ------------------------------------------------------------------------------------------------------------


def test_nobody_locks_an_account_from_elsewhere(here: World) -> None:
    def from_(address: str, password: str = "wrong") -> int:  # noqa: S107
        client = here.app.test_client()
        client.environ_base["REMOTE_ADDR"] = address
        return login(client, "operator", password).status_code

    for i in range(15):  # a net of machines, four tries each
        assert {from_(f"198.18.1.{i}") for _ in range(4)} <= {401, 429}
    assert from_("198.18.2.1", PASSWORD) == 302, "the owner, from an address that nobody used"
    assert [from_("198.18.3.1") for _ in range(3)] == [401, 401, 429], "under attack an unknown address has two tries"
    here.now_ms += attempts.BUSY_WINDOW_MS
    assert [from_("198.18.3.2") for _ in range(6)] == [401] * 5 + [429]


def test_a_browser_that_got_in_before_stands_beside_its_neighbours(here: World) -> None:
    mine = here.client("operator")
    for _ in range(6):
        login(here.client(), "operator", "wrong")  # the same address: one NAT for a village
    assert login(here.client(), "operator").status_code == 429
    assert login(mine, "operator").status_code == 302
    assert [login(mine, "operator", "wrong").status_code for _ in range(6)] == [401] * 5 + [429]


def test_tries_survive_a_restart_and_hold_no_name(here: World) -> None:
    secret_typed_as_name = "mat-khau-go-nham"
    for _ in range(5):
        login(here.client(), secret_typed_as_name, "x")
    raw = (here.settings.state / "session.db").read_bytes() + here.settings.registry.read_bytes()
    assert secret_typed_as_name.encode() not in raw
    again = SessionStore(here.settings.state / "session.db", here.entrance.sessions._pepper)
    with closing(again):
        assert again.ask(secret_typed_as_name, "127.0.0.1", None, here.now_ms)[1] > 0
        assert again.ask("another", "127.0.0.1", None, here.now_ms)[1] == 0


def test_an_address_is_limited_over_all_names(here: World) -> None:
    store = here.entrance.sessions
    for i in range(30):
        assert store.ask(f"u{i}", "2001:db8::1", None, here.now_ms)[0] is not None
    assert store.ask("new", "2001:db8::ffff:2", None, here.now_ms)[1] == 300, "IPv6 counts by its /64"
    assert store.ask("new", "2001:db8:0:1::1", None, here.now_ms)[1] == 0
    assert attempts.net_of("::ffff:198.18.0.1") == attempts.net_of("198.18.0.1")


def test_tries_at_once_are_each_written_down_before_they_are_looked_at(here: World) -> None:
    asked = [here.entrance.sessions.ask("operator", "198.18.0.1", None, here.now_ms)[0] for _ in range(9)]
    assert [one is not None for one in asked] == [True] * 5 + [False] * 4


# --- one-time links ---------------------------------------------------------------------------------------------------


def test_a_one_time_link_sets_the_password_once(here: World) -> None:
    text = here.entrance.accounts.invite("official", here.now_ms)
    assert login(here.client(), "official").status_code == 401, "an invited account has no password that counts"
    client, path = here.client(), f"/welcome/{text}"
    assert get(client, path).status_code == 200
    assert get(client, path).status_code == 200, "looking uses nothing up"
    assert post(client, path, path, password="short", again="short").status_code == 422
    done = post(client, path, path, password=PASSPHRASE, again=PASSPHRASE)
    assert done.headers["Location"] == "/account/second-factor", "the old second factor went with the reset"
    assert get(here.client(), path).status_code == 404
    late = here.entrance.accounts.invite("official", here.now_ms)
    here.now_ms += 72 * 3_600_000
    assert get(here.client(), f"/welcome/{late}").status_code == 404
    assert text.encode() not in here.settings.registry.read_bytes()


# --- the trail --------------------------------------------------------------------------------------------------------


def test_every_login_and_deed_is_a_line_and_what_was_typed_is_in_none(here: World) -> None:
    login(here.client(), "operator", "mat khau sai")
    client = here.client("operator")
    form = {
        "commune": "05755",
        "code": "h-new",
        "name": "Tên Mới",
        "kind": "xóm",
        "csrf_token": token(client, "/account"),
    }
    head = {"Referer": f"{BASE}/registry"}
    assert client.post("/registry/hamlets", data=form, base_url=BASE, headers=head).status_code == 303
    assert client.post("/registry/hamlets", data=form, base_url=BASE, headers=head).status_code == 422
    assert post(client, "/logout", "/account").status_code == 302
    assert deeds(here) == [
        ("operator", "login", ""),
        ("operator", "registry.add_hamlet", "05755"),
        ("operator", "registry.add_hamlet", "05755"),
        ("operator", "refused", "registry.add_hamlet"),
        ("operator", "access.logout", ""),
    ]
    here.now_ms += 3_600_000
    here.client("technician")
    counted = [one for one in here.entrance.trail.read(9) if one.what == "login_failed"]
    assert [(one.actor, one.number) for one in counted] == [("operator", 1)]
    for word in (PASSWORD, "mat khau sai", "Tên Mới"):
        assert word.encode() not in b"".join(raw for _, raw in here.entrance.trail.leaves(0, 100))


def test_a_deed_that_cannot_be_written_down_is_not_done(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = here.client("operator")
    form = {"commune": "05755", "code": "h-new", "name": "Mới", "kind": "xóm", "csrf_token": token(client, "/account")}
    with closing(sqlite3.connect(here.settings.registry)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        db.commit()
    answer = client.post("/registry/hamlets", data=form, base_url=BASE, headers={"Referer": BASE})
    assert answer.status_code == 503
    assert here.registry.hamlet("h-new") is None


def test_the_trail_is_append_only_and_its_lines_are_leaves_of_the_log(here: World) -> None:
    here.client("operator")
    here.client("technician")
    statements = statements_of(here.settings)
    here._ingest.statements = statements
    from collector.ingest import Message  # noqa: PLC0415
    from collector.statements import NOTES  # noqa: PLC0415

    for waiting, raws in statements.due():
        taken = here._ingest.take([Message(NOTES, raw) for raw in raws], here.now_ms)
        assert taken.refused == 0
        statements.done(waiting)
    with closing(sqlite3.connect(here.settings.ledger)) as db:
        rows = db.execute("SELECT type, signer, subject FROM note ORDER BY n").fetchall()
    assert rows == [("audit", "", "operator"), ("audit", "", "technician")]
    forged = leaf_bytes(ORIGIN, Deed(1, here.now_ms, "operator", "operator", "claims.arm"))
    assert is_leaf(ORIGIN, forged)
    with pytest.raises(Refused, match="reads otherwise"):
        statements.open(forged, here.now_ms)
    with closing(sqlite3.connect(here.settings.registry)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("UPDATE audit SET actor = 'nobody'")
    statements.identities.close()
    assert statements.trail is not None
    statements.trail.close()


def test_no_telephone_number_gets_into_a_line(here: World) -> None:
    here.entrance.write("0912345678", "technician", "login")
    assert deeds(here)[-1][0] == "number"
    for bad in ({"actor": "a\nb"}, {"what": "A b"}, {"target": "<b>"}):
        with pytest.raises(Refused):
            leaf_bytes(ORIGIN, Deed(**{"n": 1, "at_ms": 1, "actor": "a", "role": "", "what": "x", **bad}))
    body = json.loads(leaf_bytes(ORIGIN, Deed(1, 2, "a", "", "x", "", 3)).splitlines()[1])
    assert body == {"v": 1, "n": 1, "at_ms": 2, "actor": "a", "what": "x", "number": 3}


def test_demo_logins_are_served_on_this_machine_alone(tmp_path: Path) -> None:
    with world(tmp_path, demo=True) as here:
        config = here.settings.path("collector.toml")
        for bind in ("0.0.0.0:8080", "198.18.0.1:80", "unix:/run/x.sock"):
            config.write_text(config.read_text().split("bind =")[0] + f'bind = "{bind}"\n')
            with pytest.raises(Misconfigured, match="demo = true"):
                create_app(read_settings(config), here.reader, here.registry)


def test_a_board_s_month() -> None:
    assert BOARD_MS == 30 * 24 * 3_600_000
