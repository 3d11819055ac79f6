"""OSCAR_METRICS_PSEUDONYMS: OIDC users see others by stable pseudonyms. What they are is computed by Python's hmac; the
reports are the model's, with every id in the lines replaced before anything is counted."""
import copy
import hashlib
import hmac
import re
import secrets

import pytest

from harness import model
from harness.app import run
from harness.client import ADMIN
from harness.cluster import ALICE, BOB, END, MONTH, START, USERS, Cluster
from harness.hostile_oidc import GROUP, HostileOidc
from harness.jose import EcKey
from harness.waiting import wait_until

KEY = "0123456789abcdef0123456789abcdef"
NOBODYS = ("", "oscar", "nil", "minio")
ITEMS = {"service": model.by_service, "user": model.by_user, "country": model.by_country}
PSEUDONYM = re.compile("user-[0-9a-f]{32}")


def shown(reader, user, key=KEY):
    """What a reader sees in place of an id."""
    if user == reader or user in NOBODYS:
        return user
    return "user-" + hmac.new(key.encode(), user.encode(), hashlib.sha256).hexdigest()[:32]


def events_for(cluster, reader, key=KEY, owned=False):
    """The lines that they may see, with others' ids replaced."""
    events = [copy.copy(event) for event in cluster.seen_events(reader, owned=owned)]
    for event in events:
        event.user = shown(reader, event.user, key)
    return events


@pytest.fixture(scope="module")
def server():
    made = HostileOidc()
    yield made
    made.close()


@pytest.fixture(scope="module")
def issuer(server):
    return server.issuer("/x", EcKey())


@pytest.fixture(scope="module")
def cluster(shared_folder):
    return Cluster(shared_folder, requests=1000)


def settings_of(cluster, issuer, **more):
    return {**cluster.settings, "OIDC_ENABLE": "true", "OIDC_ISSUERS": issuer.url, "OIDC_GROUPS": GROUP,
            "OSCAR_METRICS_PSEUDONYMS": "true", "OSCAR_METRICS_PSEUDONYM_KEY": KEY, **more}


@pytest.fixture(scope="module")
def app(cluster, issuer, start_shared):
    return start_shared(settings_of(cluster, issuer))


def ask(app, issuer, reader, path, query=MONTH):
    answer = app.get("/system/metrics" + path, query, auth="Bearer " + issuer.token(reader))
    assert answer.status == 200, answer
    return answer


PLACES = [("", MONTH), *[("/breakdown", f"{MONTH}&group_by={group}{more}") for group in ITEMS
                         for more in ("", "&format=csv")],
          ("/breakdown", MONTH + "&group_by=service&include_users=true"), ("/public", MONTH)]


def bodies(app, issuer, reader):
    """Every kind of answer, without the times at which its sources were read."""
    return [re.sub(r'"last_updated":"[^"]*"', "", ask(app, issuer, reader, *place).text) for place in PLACES]


def test_readers_have_others_in_their_reports(cluster):
    """What the other tests rest on: names, in an order that is not the one of the ids."""
    for reader in (ALICE, BOB):
        ids = model.totals(cluster.seen_events(reader))["users"]
        names = model.totals(events_for(cluster, reader))["users"]
        assert len(ids) == len(names) and reader in names and {"oscar", "nil"} < set(names)
        assert [shown(reader, user) for user in ids] != names
        assert sum(bool(PSEUDONYM.fullmatch(name)) for name in names) == len(names) - 3 > 3


@pytest.mark.parametrize("reader", [ALICE, BOB])
def test_a_summary_lists_pseudonyms_in_their_own_order(app, cluster, issuer, reader):
    totals = ask(app, issuer, reader, "").json()["totals"]
    assert totals == model.totals(events_for(cluster, reader), len(model.visible(cluster.definitions, reader)))
    assert totals["users_count"] == len(model.totals(cluster.seen_events(reader))["users"])


@pytest.mark.parametrize("reader", [ALICE, BOB])
@pytest.mark.parametrize("group_by", ITEMS)
def test_breakdowns_have_pseudonyms_as_json_and_as_csv(app, cluster, issuer, reader, group_by):
    items = ITEMS[group_by](events_for(cluster, reader))
    query = f"{MONTH}&group_by={group_by}"
    assert ask(app, issuer, reader, "/breakdown", query).json()["items"] == items
    assert ask(app, issuer, reader, "/breakdown", query + "&format=csv").text == model.to_csv(group_by, items)


@pytest.mark.parametrize("reader", [ALICE, BOB])
def test_the_users_of_services_have_pseudonyms(app, cluster, issuer, reader):
    answer = ask(app, issuer, reader, "/breakdown", MONTH + "&group_by=service&include_users=true")
    assert answer.json()["items"] == model.by_service(events_for(cluster, reader), include_users=True)


def test_memberships_are_those_of_the_ids(app, cluster, issuer):
    items = ask(app, issuer, ALICE, "/breakdown", MONTH + "&group_by=user").json()["items"]
    found = {item["key"]: item["membership"] for item in items}
    assert found == {shown(ALICE, item["key"]): item["membership"] for item in model.by_user(cluster.seen_events(ALICE))}
    assert set(found.values()) == {"member", "external", "unknown"}


@pytest.mark.parametrize("reader", [ALICE, BOB])
def test_no_id_of_others_is_in_an_answer_or_in_the_log(app, cluster, issuer, reader):
    others = {event.user for event in cluster.events} - {reader, *NOBODYS}
    owners = {definition.owner for definition in cluster.definitions} - {reader}
    for place in PLACES:
        answer = ask(app, issuer, reader, *place)
        said = answer.text + repr(answer.headers)
        assert not [user for user in others | owners if user in said], place
    log = app.stderr()
    assert not [word for word in {*others, *USERS, KEY} if word in log]


def test_the_admin_sees_ids(app, cluster):
    answer = app.get("/system/metrics", MONTH, auth=ADMIN)
    assert answer.json()["totals"]["users"] == model.totals(cluster.events)["users"]
    answer = app.get("/system/metrics/breakdown", MONTH + "&group_by=user&format=csv", auth=ADMIN)
    assert answer.text == model.to_csv("user", model.by_user(cluster.events))


def test_whoever_asks_first_changes_nothing_for_the_others(app, cluster, issuer):
    """What is remembered has ids, and no reader's view of them."""
    first = [app.get("/system/metrics/breakdown", MONTH + "&group_by=user", auth=auth).json()["items"]
             for auth in (ADMIN, "Bearer " + issuer.token(ALICE), "Bearer " + issuer.token(BOB), ADMIN)]
    assert first[0] == first[3] == model.by_user(cluster.events)
    assert first[1] == model.by_user(events_for(cluster, ALICE))
    assert first[2] == model.by_user(events_for(cluster, BOB))


def test_users_who_see_only_their_own_services_see_pseudonyms_too(start, cluster, issuer):
    app = start(settings_of(cluster, issuer, OSCAR_METRICS_SCOPE="owned"))
    items = ask(app, issuer, ALICE, "/breakdown", MONTH + "&group_by=user").json()["items"]
    assert items == model.by_user(events_for(cluster, ALICE, owned=True))
    assert any(PSEUDONYM.fullmatch(item["key"]) for item in items)


def test_pseudonyms_are_the_same_in_every_process_and_others_with_another_key(app, start, cluster, issuer):
    again, other = start(settings_of(cluster, issuer)), \
        start(settings_of(cluster, issuer, OSCAR_METRICS_PSEUDONYM_KEY=KEY[::-1]))
    assert bodies(again, issuer, ALICE) == bodies(app, issuer, ALICE)
    names = [set(PSEUDONYM.findall(ask(one, issuer, ALICE, "").text)) for one in (app, other)]
    assert len(names[0]) == len(names[1]) and not names[0] & names[1]
    assert ask(other, issuer, ALICE, "").json()["totals"]["users"] == \
        model.totals(events_for(cluster, ALICE, KEY[::-1]))["users"]


def test_the_key_comes_from_its_file_and_again_when_that_changes(start, folder, cluster, issuer):
    file = folder / "key"
    file.write_text(KEY + "\n")
    app = start(settings_of(cluster, issuer, OSCAR_METRICS_PSEUDONYM_KEY=None, OSCAR_METRICS_PSEUDONYM_KEY_FILE=file))

    def users():
        return ask(app, issuer, ALICE, "").json()["totals"]["users"]

    assert users() == model.totals(events_for(cluster, ALICE))["users"]
    key = secrets.token_hex(32)
    (folder / "new").write_text(key + "\n")
    (folder / "new").rename(file)
    wait_until(lambda: users() == model.totals(events_for(cluster, ALICE, key))["users"], "the new key to count")
    # One that is no key: the last good one stays, and no id is shown.
    file.write_text("short\n")
    assert users() == model.totals(events_for(cluster, ALICE, key))["users"]


def test_they_are_off_until_they_are_turned_on(start, cluster, issuer):
    app = start(settings_of(cluster, issuer, OSCAR_METRICS_PSEUDONYMS=None))
    assert ask(app, issuer, ALICE, "").json()["totals"]["users"] == model.totals(cluster.seen_events(ALICE))["users"]


def test_without_a_key_the_program_does_not_start():
    done = run(settings={"OSCAR_METRICS_PSEUDONYMS": "true"})
    assert done.returncode == 1 and "OSCAR_METRICS_PSEUDONYM_KEY: " in done.stderr, done


def test_reports_on_the_command_line_have_ids_and_need_no_key(cluster):
    done = run("report", f"--start={START}", f"--end={END}", "--group-by=user", "--format=csv",
               settings={**cluster.settings, "OSCAR_METRICS_PSEUDONYMS": "true",
                         "OSCAR_METRICS_PSEUDONYM_KEY_FILE": "/nowhere"})
    assert done.returncode == 0, done
    assert done.stdout == model.to_csv("user", model.by_user(cluster.events))
