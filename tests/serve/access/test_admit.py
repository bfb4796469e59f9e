"""Admission: who is let in by a real server, what is denied, and what the audit log tells of it."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

import gnomon as gn
from gnomon.cli import main
from gnomon.errors import DataError, UsageError
from gnomon.flows.access.audit import Wanted, read_log
from gnomon.flows.access.grants import Grants
from gnomon.flows.access.keys import create_key, revoke_key
from gnomon.serve.access import Access, AccessSettings, Denied, Principal, read_access
from gnomon.serve.access.attempts import BURST
from tests.serve.access.issuer import AUDIENCE, issuing
from tests.serve.conftest import AT, fill
from tests.serve.server import ask, running

PATH = "/v1/online-features"
ENTITIES = [{"customer": "c07"}]
MODEL = {"service": "shop_model", "entities": ENTITIES, "request": {"basket": 60}, "at": AT}


def features(*names):
    return {"features": list(names), "entities": ENTITIES, "at": AT}


VISITS = """
visits = gn.FeatureGroup(
    "visits", entity=customer, timestamp="at", features=[gn.count(windows=["1d"], name="visits")]
)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The shop, with `large` of the last order tagged as telling of persons, and an issuer in gnomon.toml."""
    folder = tmp_path_factory.mktemp("access") / "shop"
    fill(folder)
    file = folder / "features.py"
    text = file.read_text()
    tagged = text.replace('expr="amount > 100"', 'expr="amount > 100", tags={"pii": "yes"}')
    assert tagged != text
    file.write_text(tagged + VISITS)
    assert main(["apply", "-m", "tagged", "--project", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def issuer():
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def registry(project):
    with gn.Store(project, author="ana") as store:
        yield store.registry


@pytest.fixture(scope="module")
def keys(registry):
    """Keys that were there before the server started: who uses them need not wait until it has read them."""
    grants = {
        "all": ["reader", "pii"],
        "reader": ["reader"],
        "admin": ["admin"],
        "some": ["reader:spending"],
        "more": ["reader", "pii:last_order"],
        "doomed": ["reader:spending"],
        "pusher": ["writer:visits"],
    }
    return {name: create_key(registry, Grants.read(texts), name=name) for name, texts in grants.items()}


@pytest.fixture(scope="module")
def server(project, issuer, keys):
    (project / "gnomon.toml").write_text(
        (project / "gnomon.toml").read_text()
        + f'\n[serve.oidc]\nissuer = "{issuer.url}"\naudience = "{AUDIENCE}"\n'
        + '[serve.oidc.grants]\nml = ["reader", "pii"]\nsome = "reader:spending"\n'
    )
    with running(project, "--auth", "oidc") as one:
        yield one


def bearer(token, **more):
    return {"authorization": f"Bearer {token}", **more}


def asked(server, body, made=None, **headers):
    return ask(server.url, PATH, body, headers={**(bearer(made.key) if made else {}), **headers})


def until(found, seconds=10.0):
    """What `found` returns, once it is something."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def test_key_is_let_in_with_what_it_was_granted_and_as_either_header(server, keys):
    made = keys["all"]
    assert asked(server, MODEL, made).status == 200
    assert asked(server, MODEL, **{"x-api-key": made.key}).json == asked(server, MODEL, made).json


def test_nobody_is_let_in_without_credentials_and_is_told_how_to_show_them(server):
    told = asked(server, MODEL)
    assert (told.status, told.headers["www-authenticate"]) == (401, 'Bearer realm="gnomon"')
    assert told.json["title"] == "Who are you?"
    assert "Bearer" in told.json["hint"]
    for headers in ({"authorization": "Basic YTpi"}, bearer(""), bearer("gnm_x"), {"x-api-key": "a.b.c"}):
        told = asked(server, MODEL, **headers)
        assert (told.status, "invalid_token" in told.headers["www-authenticate"]) == (401, True)


def test_body_of_somebody_unknown_is_not_even_read(server):
    assert ask(server.url, PATH, b"{broken").status == 401


def test_what_is_missing_is_named_and_nothing_else(server, keys):
    made = keys["some"]
    assert asked(server, features("spending:idle"), made).status == 200
    told = asked(server, features("spending:idle", "last_order:category"), made)
    assert (told.status, told.json["detail"]) == (403, "these credentials do not have `reader:last_order`")
    told = asked(server, features("nowhere:x"), made)
    assert (told.status, told.json["detail"]) == (403, "these credentials do not have `reader:nowhere`")
    told = asked(server, MODEL, made)
    assert told.status == 403
    assert b"last_order" not in told.body
    errors = [
        asked(server, MODEL | {"service": name}, made) for name in ("shop_model", "nothing", "last_order")
    ]
    assert [told.status for told in errors] == [403] * 3
    assert len({told.json["detail"].partition("` ")[2] for told in errors}) == 1


def test_registry_shows_what_stands_behind_the_groups_that_may_be_read(server, keys):
    def names(path, made):
        got = ask(server.url, f"/v1/{path}", headers=bearer(keys[made].key)).json
        return {one["name"].partition("@")[0] for one in got.get("objects", got.get("features"))}

    assert names("groups", "reader") == {"last_order", "spending", "visits"}
    assert names("groups", "some") == {"spending"}
    assert names("services", "some") == set()
    assert names("on-demand", "some") == {"basket_share"}
    assert names("sources", "some") == {"orders"}
    assert all(name.startswith("spending") for name in names("features", "some"))
    source = ask(server.url, "/v1/sources/orders", headers=bearer(keys["some"].key))
    assert (source.status, b"spending" in source.body, b"last_order" in source.body) == (200, True, False)


def test_what_may_not_be_seen_in_the_registry_is_refused_as_if_it_were_not_there(server, keys):
    def details(*paths):
        got = [ask(server.url, path, headers=bearer(keys["some"].key)) for path in paths]
        assert {told.status for told in got} == {403}
        names = ("shop_model", "last_order", "nothing")
        return {re.sub("|".join(names), "…", told.json["detail"]) for told in got}

    assert len(details("/v1/services/shop_model", "/v1/services/nothing")) == 1
    assert len(details("/v1/services/shop_model/contract", "/v1/services/nothing/contract")) == 1
    assert len(details("/v1/groups/last_order", "/v1/groups/nothing")) == 1
    for path in ("/v1/registry", "/v1/registry/documents", "/v1/registry/history"):
        assert details(path) == {"these credentials do not have `reader`"}


def test_training_sets_and_pushes_need_grants_too(server, keys):
    spine = [{"customer": "c07", "event_timestamp": AT}]

    def train(made, *names):
        return ask(
            server.url,
            "/v1/historical-features",
            {"features": [*names], "spine": spine},
            headers=bearer(keys[made].key),
        )

    assert train("some", "spending:idle").status == 200
    assert (
        train("some", "last_order:category").json["detail"]
        == "these credentials do not have `reader:last_order`"
    )
    assert (
        train("reader", "last_order:large").json["detail"] == "these credentials do not have `pii:last_order`"
    )
    assert train("all", "last_order:large").status == 200
    feast = {"features": ["last_order:category"], "entities": {"customer": ["c07"]}}
    got = ask(server.url, "/get-online-features", feast, headers=bearer(keys["some"].key))
    assert (got.status, got.json["detail"]) == (403, "these credentials do not have `reader:last_order`")


def test_who_pushes_what_stands_in_the_log_whether_it_was_let_in_or_not(server, keys, project):
    rows = {"rows": [{"customer": "c07", "at": AT}]}

    def push(made, name):
        headers = bearer(keys[made].key, **{"x-request-id": f"push-{made}-{name}"})
        return ask(server.url, f"/v1/push/{name}", rows, headers=headers)

    assert push("pusher", "visits").json["accepted"] == 1
    denied = [
        push(made, name) for made, name in (("pusher", "spending"), ("pusher", "nothing"), ("some", "visits"))
    ]
    assert [told.status for told in denied] == [403] * 3
    assert push("reader", "visits").json["detail"] == "these credentials do not have `writer:visits`"

    def entries():
        found = read_log(project / ".gnomon" / "audit", Wanted(action="write")).entries
        return found if len(found) == 5 else None

    told = {entry.request_id: entry for entry in until(entries)}
    done = told["push-pusher-visits"]
    assert (done.outcome, done.status, done.objects) == ("done", 200, ("visits@1",))
    assert done.who == f"key {keys['pusher'].stored.id}"
    assert {told[f"push-{made}"].outcome for made in ("pusher-spending", "some-visits")} == {"denied"}


def test_what_tells_of_persons_needs_a_grant_of_its_own(server, keys):
    """Also what is made from the same column: `amount` stands behind `large`, and behind the mean."""
    made, more = keys["admin"], keys["more"]
    assert asked(server, features("last_order:category"), made).status == 200
    told = asked(server, features("last_order:large"), made)
    assert (told.status, told.json["detail"]) == (403, "these credentials do not have `pii:last_order`")
    assert asked(server, features("last_order:large"), more).status == 200
    told = asked(server, features("spending:amount_mean_30d"), more)
    assert (told.status, told.json["detail"]) == (403, "these credentials do not have `pii:spending`")
    told = asked(server, features("basket_share") | {"request": {"basket": 60}}, more)
    assert told.json["detail"] == "these credentials do not have `pii:spending`"


def test_token_of_the_issuer_is_let_in_with_what_its_claims_allow(server, issuer):
    assert asked(server, MODEL, **bearer(issuer.sign(roles=["ml"]))).status == 200
    some = bearer(issuer.sign(roles=["some"]))
    assert asked(server, features("spending:idle"), **some).status == 200
    assert asked(server, features("last_order:category"), **some).status == 403
    assert asked(server, features("spending:idle"), **bearer(issuer.sign())).status == 403
    told = asked(server, MODEL, **bearer(issuer.sign(roles=["ml"], exp=int(time.time()) - 3600)))
    assert (told.status, told.json["detail"]) == (401, "the token has expired")


def test_revoked_key_is_refused_within_a_second_and_others_go_on(server, keys, registry):
    made, other = keys["doomed"], keys["some"]
    assert asked(server, features("spending:idle"), made).status == 200
    revoke_key(registry, made.stored.id)
    time.sleep(1.0)  # what is promised
    told = asked(server, features("spending:idle"), made)
    assert (told.status, told.json["detail"]) == (401, f"the key {made.stored.id} is revoked")
    assert asked(server, features("spending:idle"), other).status == 200


def test_counts_need_the_whole_project_and_health_needs_nothing(server, keys):
    made, some = keys["reader"], keys["some"]
    assert ask(server.url, "/metrics", headers=bearer(made.key)).status == 200
    assert ask(server.url, "/metrics", headers=bearer(some.key)).status == 403
    assert ask(server.url, "/metrics").status == 401
    assert [ask(server.url, path).status for path in ("/livez", "/readyz", "/openapi.json", "/docs")] == [
        200
    ] * 4


def test_every_denied_call_stands_in_the_log_with_who_what_where_and_why(server, keys, project):
    made = keys["some"]
    assert asked(server, features("spending:idle"), made).status == 200
    asked(server, MODEL, made, **{"x-request-id": "audited-1"})
    asked(server, MODEL, **{"x-request-id": "audited-2"})

    def entry(request_id):
        found = read_log(project / ".gnomon" / "audit", Wanted(outcome="denied")).entries
        return next((e for e in found if e.request_id == request_id), None)

    first, second = (until(lambda id=id: entry(id)) for id in ("audited-1", "audited-2"))
    assert (first.who, first.action, first.what, first.status) == (
        f"key {made.stored.id}",
        "read",
        f"POST {PATH}",
        403,
    )
    assert first.objects == ("last_order@1", "spending@1")
    assert "reader:last_order" in first.why
    assert (second.who, second.status, second.address) == ("nobody", 401, "127.0.0.1")
    text = "".join(path.read_text() for path in (project / ".gnomon" / "audit").glob("*"))
    assert made.key.rpartition("_")[2] not in text


def test_every_operation_with_an_action_refuses_without_credentials(server):
    """All that the server's own description tells of, but what health checks and readers of the docs ask."""
    told = ask(server.url, "/openapi.json").json
    open_paths = {"/livez", "/readyz", "/health", "/openapi.json", "/docs"}
    seen = 0
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            if path in open_paths:
                assert "security" not in operation
                continue
            seen += 1
            assert operation.get("security"), path
            filled = path.replace("{", "").replace("}", "")
            for body in (None, b"{}"):
                answer = ask(server.url, filled, body, method=method.upper())
                assert answer.status == 401, (method, path)
                assert answer.headers["content-type"] == "application/problem+json"
    assert seen >= 2


def test_other_machines_are_not_let_in_unknown_unless_it_is_said(project, capsys):
    for arguments, told in (
        (["--host", "0.0.0.0"], "--auth keys"),
        (["--auth", "kies"], "did you mean `keys`"),
    ):
        assert main(["serve", *arguments, "--project", str(project)]) == 2
        assert told in capsys.readouterr().err


# --- without a server ---------------------------------------------------------------------------------------


@pytest.fixture
def access(keys, tmp_path):
    made = Access(
        AccessSettings("keys", audit=tmp_path / "audit"), lambda: tuple(k.stored for k in keys.values())
    )
    yield made
    made.close()


def admitted(access, *shown, address="10.0.0.1"):
    """What becomes of credentials, one after another: a name or a status."""

    async def admit_all():
        found = []
        for headers in shown:
            try:
                found.append((await access.admit(headers, address)).name)
            except Denied as error:
                found.append(error.status)
        return found

    return asyncio.run(admit_all())


def header(key):
    return {b"authorization": b"Bearer " + key.encode()}


def test_too_many_failures_are_told_to_wait_and_whoever_has_a_key_is_let_in(access, keys):
    wrong = header("gnm_x")
    assert admitted(access, *[wrong] * (BURST + 2)) == [401] * BURST + [429] * 2
    assert admitted(access, header(keys["some"].key)) == [f"key {keys['some'].stored.id}"]
    assert admitted(access, {}, wrong) == [401, 429]
    assert admitted(access, wrong, address="10.0.0.2") == [401]


def test_showing_nothing_is_no_failure(access):
    assert admitted(access, *[{}] * (BURST + 5)) == [401] * (BURST + 5)


@pytest.mark.parametrize(
    "shown", [b"", b"Bearer", b"Bearer ", b"\xff\xfe", b"Bearer " + b"x" * 100_000, b"bearer a.b.c"]
)
def test_any_bytes_can_be_shown(access, shown):
    assert admitted(access, {b"authorization": shown}, {b"x-api-key": shown}) == [401, 401]


def test_scheme_is_read_in_any_case(access, keys):
    shown = b"bEARER  " + keys["some"].key.encode() + b" "
    assert admitted(access, {b"authorization": shown}) == [f"key {keys['some'].stored.id}"]


def test_everybody_is_let_in_where_nobody_is_asked():
    assert admitted(Access(), {}) == ["anybody"]


def test_changing_calls_stand_in_the_log_and_reading_ones_only_if_denied(access, tmp_path):
    who = Principal("key 1", Grants.read(["writer"]))
    who.require("write", ["visits@1"])
    access.note(who, "write", "POST /v1/push/visits", 200, address="::1", request_id="r1")
    access.note(who, "write", "POST /v1/push/visits", 422, error=DataError("a row\nis wrong"))
    access.note(who, "read", "POST /v1/online-features", 200)
    access.note(who, "read", "POST /v1/online-features", 404, error=UsageError("nothing there"))
    access.close()
    done, failed = read_log(tmp_path / "audit").entries
    assert (done.outcome, done.who, done.objects, done.address) == ("done", "key 1", ("visits@1",), "::1")
    assert (failed.outcome, failed.status, failed.why) == ("failed", 422, "a row")


def test_settings_that_cannot_be_meant_are_refused(tmp_path):
    with pytest.raises(UsageError, match="from an issuer"):
        read_access("oidc", {}, tmp_path)
    with pytest.raises(DataError, match=r"serve\.audit"):
        read_access("off", {"audit": {"foldr": "x"}}, tmp_path)
    assert read_access("keys", {"audit": {"folder": "/var/log/x"}}, tmp_path).audit == Path("/var/log/x")
    assert read_access("off", {}, tmp_path).audit == tmp_path / ".gnomon" / "audit"
