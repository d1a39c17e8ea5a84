"""Runs the unmodified Python SDK and mixpanel-utils."""

import contextlib
import functools
import itertools
import json
import os
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid
from base64 import b64encode
from datetime import datetime, timedelta, timezone

import mixpanel
from mixpanel_utils import MixpanelUtils

SERVER = os.environ["IDMERGE_URL"]
URLS = {
    "events_url": SERVER + "/track",
    "people_url": SERVER + "/engage",
    "groups_url": SERVER + "/groups",
    "import_url": SERVER + "/import",
}


def read(file):
    with open(file, encoding="utf-8") as opened:
        return json.load(opened)


def recipes(engine):
    """The calls of docs/choosing.md for a model, as it shows them."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../docs/choosing.md"), encoding="utf-8") as opened:
        rows = [[cell.strip() for cell in line.split("|")] for line in opened]
    header = next(at for at, row in enumerate(rows) if row[1:4] == ["model", "Node", "Python"])
    table = itertools.takewhile(lambda row: len(row) > 1, rows[header + 2 :])
    return [row[3].strip("`") for row in table if engine in row[1].lower().split(", ")]


@contextlib.contextmanager
def alias_to_this_server():
    """The SDK makes a consumer of its own for an alias, which cannot be configured."""
    made, mixpanel.Consumer = mixpanel.Consumer, functools.partial(mixpanel.Consumer, **URLS)
    try:
        yield
    finally:
        mixpanel.Consumer = made


class Project:
    """A project in the configuration that `cargo xtask e2e` writes."""

    def __init__(self, token):
        self.token = token
        self.secret = f"secret-of-{token}"
        self.user = f"account-of-{token}"
        self.password = f"password-of-{token}"

    def ask(self, where):
        basic = b64encode(f"{self.secret}:".encode()).decode()
        request = urllib.request.Request(SERVER + where, headers={"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def identity(self, id):
        return self.ask("/v1/ids/" + urllib.parse.quote(id, safe=""))

    def profile(self, id):
        return self.ask(f"/v1/users/{urllib.parse.quote(id, safe='')}/profile")["properties"]

    def marks(self, id):
        events = self.ask(f"/v1/users/{urllib.parse.quote(id, safe='')}/events?limit=1000")["events"]
        marks = [event["event"]["properties"].get("mark") for event in events]
        return sorted(mark for mark in marks if mark is not None)


class Cases:
    """The tests of all engines, with the results in which they differ."""

    engine = ""

    def setUp(self):
        self.project = Project(f"python-{self.engine}")
        self.is_original = self.engine == "original"
        self.is_simplified = self.engine == "simplified"
        # Each test uses its own IDs.
        self.id = functools.partial("{1}-{0}".format, self._testMethodName)
        self.sdk = mixpanel.Mixpanel(self.project.token, consumer=mixpanel.Consumer(**URLS))

    def assert_cluster(self, *members, project=None):
        for member in members:
            identity = (project or self.project).identity(member)
            self.assertEqual(identity["distinct_id"], members[0])
            self.assertEqual(sorted(identity["members"]), sorted(members))

    def test_track(self):
        user = self.id("u")
        self.sdk.track(user, "View", {"mark": "1"})
        self.sdk.track(user, "View", {"mark": "<2> & \u00fc \U0001f600"})
        self.assertEqual(self.project.marks(user), ["1", "<2> & \u00fc \U0001f600"])

    def test_device_and_user_on_one_event(self):
        device, user = str(uuid.uuid4()), self.id("u")
        self.sdk.track("", "View", {"$device_id": device, "mark": "1"})
        self.sdk.track("", "Log In", {"$device_id": device, "$user_id": user, "mark": "2"})
        # S-5. In the other models an event never merges, and an empty distinct_id is absent (ID-3, O-2, L-2).
        if self.is_simplified:
            self.assert_cluster(user, "$device:" + device)
            self.assertEqual(self.project.marks(user), ["1", "2"])
        else:
            self.assert_cluster(user)
            self.assertEqual(self.project.marks(user), ["2"])
            self.assertEqual(self.project.marks(device), ["1"])

    def test_buffered(self):
        user = self.id("u")
        consumer = mixpanel.BufferedConsumer(max_size=50, **URLS)
        sdk = mixpanel.Mixpanel(self.project.token, consumer=consumer)
        marks = [f"{number:03}" for number in range(130)]
        for mark in marks:
            sdk.track(user, "View", {"mark": mark})
        consumer.flush()
        self.assertEqual(self.project.marks(user), marks)

    def test_identify(self):
        anonymous, user = str(uuid.uuid4()), self.id("u")
        self.sdk.track("", "$identify", {"$identified_id": user, "$anon_id": anonymous})
        self.assert_cluster(*([user, anonymous] if self.is_original else [user]))

    def test_alias(self):
        old, new = self.id("old"), self.id("new")
        with alias_to_this_server():
            self.sdk.alias(new, old)
        # O-6, L-8
        self.assert_cluster(*([old] if self.is_simplified else [old, new]))

    def test_the_calls_of_choosing(self):
        calls = recipes(self.engine)
        self.assertTrue(calls)
        for code in calls:
            with self.subTest(code):
                device, ada = str(uuid.uuid4()), self.id("ada") + str(uuid.uuid4())
                names = {"mp": self.sdk, "device": device}
                exec(code.replace("'ada'", repr(ada)), names)
                marked = "$device:" + device if self.is_simplified else device
                # An alias makes the user's ID stand for the device's (L-8).
                is_alias = "alias" in code
                self.assert_cluster(*([marked, ada] if is_alias else [ada, marked]))

    def test_people(self):
        user = self.id("u")
        self.sdk.people_set(user, {"plan": "gold", "when": datetime(2026, 1, 31, 12, 30)})
        self.sdk.people_set_once(user, {"plan": "silver", "first": True})
        self.sdk.people_increment(user, {"visits": 3})
        self.sdk.people_increment(user, {"visits": 2})
        self.sdk.people_append(user, {"list": "a"})
        self.sdk.people_append(user, {"list": "b"})
        self.sdk.people_remove(user, {"list": "a"})
        self.sdk.people_union(user, {"tags": ["x", "y"]})
        self.sdk.people_union(user, {"tags": ["y", "z"]})
        self.sdk.people_unset(user, ["first"])
        profile = self.project.profile(user)
        self.assertEqual(profile["plan"], "gold")
        self.assertEqual(profile["when"], "2026-01-31T12:30:00")
        self.assertEqual(profile["visits"], 5)
        self.assertEqual(profile["list"], ["b"])
        self.assertEqual(profile["tags"], ["x", "y", "z"])
        self.assertNotIn("first", profile)
        self.sdk.people_delete(user)
        with self.assertRaises(urllib.error.HTTPError) as failed:
            self.project.profile(user)
        self.assertEqual(failed.exception.code, 404)

    def test_groups(self):
        # No API reads groups; the test can only see that the SDK reports no error.
        self.sdk.group_set("company", "acme", {"plan": "gold"})
        self.sdk.group_set_once("company", "acme", {"since": 2026})
        self.sdk.group_union("company", "acme", {"tags": ["x"]})
        self.sdk.group_unset("company", "acme", ["plan"])
        self.sdk.group_delete("company", "acme")

    def account_sdk(self, password):
        account = mixpanel.ServiceAccountCredentials(self.project.user, password, self.project.token)
        return mixpanel.Mixpanel(self.project.token, consumer=mixpanel.Consumer(credentials=account, **URLS))

    def test_import(self):
        user, then = self.id("u"), int(time.time()) - 3600
        self.sdk.import_data(None, user, "Old", then, {"mark": "1"}, api_secret=self.project.secret)
        self.account_sdk(self.project.password).import_data(None, user, "Old", then, {"mark": "2"})
        self.assertEqual(self.project.marks(user), ["1", "2"])
        for sdk, secret in [
            (self.sdk, None),
            (self.sdk, "not the secret"),
            (self.account_sdk("not the password"), None),
        ]:
            with self.assertRaises(mixpanel.MixpanelException):
                sdk.import_data(None, user, "Old", then, {"mark": "3"}, api_secret=secret)
        self.assertEqual(self.project.marks(user), ["1", "2"])

    def test_merge(self):
        a, b = self.id("a"), self.id("b")
        for sdk, secret in [
            (self.sdk, None),
            (self.sdk, "not the secret"),
            (self.account_sdk("not the password"), None),
        ]:
            with self.assertRaises(mixpanel.MixpanelException):
                sdk.merge(None, a, b, api_secret=secret)
        self.assert_cluster(a)
        by_secret = functools.partial(self.sdk.merge, None, api_secret=self.project.secret)
        by_account = functools.partial(self.account_sdk(self.project.password).merge, None)
        # The token alone may import, because some data platforms rely on it, but does not merge by default.
        by_token = functools.partial(self.sdk.merge, None, api_secret=self.project.token)
        for name, merge in [("secret", by_secret), ("account", by_account), ("token", by_token)]:
            with self.subTest(name):
                first, second = f"{a}-{name}", f"{b}-{name}"
                if self.is_original:
                    merge(first, second)
                    self.assert_cluster(*([first] if name == "token" else [first, second]))
                elif self.is_simplified:
                    # Simplified does not accept identity events on /import.
                    with self.assertRaises(mixpanel.MixpanelException):
                        merge(first, second)
                    self.assert_cluster(first)
                else:
                    # L-11
                    merge(first, second)
                    self.assert_cluster(first)

    def test_merge_buffered(self):
        pairs = [(self.id(f"a{number}"), self.id(f"b{number}")) for number in range(3)]
        consumer = mixpanel.BufferedConsumer(**URLS)
        sdk = mixpanel.Mixpanel(self.project.token, consumer=consumer)
        for pair in pairs:
            sdk.merge(None, *pair, api_secret=self.project.secret)
        if not self.is_simplified:
            consumer.flush()
        else:
            with self.assertRaises(mixpanel.MixpanelException):
                consumer.flush()
        for pair in pairs:
            self.assert_cluster(*(pair if self.is_original else pair[:1]))

    def utils(self, by_account, project=None):
        project = project or self.project
        if by_account:
            utils = MixpanelUtils(
                project.password,
                token=project.token,
                service_account_username=project.user,
                project_id=project.token,
                max_retries=1,
            )
        else:
            utils = MixpanelUtils(project.secret, token=project.token, max_retries=1)
        # mixpanel-utils supports only the vendor's host; these attributes hold its addresses.
        utils.import_api = SERVER
        utils.raw_api = utils.formatted_api = SERVER + "/api"
        return utils

    def test_utils_events(self):
        device, user, then = str(uuid.uuid4()), self.id("u"), int(time.time()) - 7200
        day = lambda ago: (datetime.now(timezone.utc) - timedelta(days=ago)).strftime("%Y-%m-%d")
        for by_account in (True, False):
            with self.subTest(by_account=by_account):
                utils = self.utils(by_account)
                name = f"Utils {by_account} {self.engine}"
                events = [
                    {
                        "event": name,
                        "properties": {
                            "time": then + number,
                            "distinct_id": user if number % 2 else "$device:" + device,
                            "$device_id": device,
                            "$insert_id": f"{self.engine}-{by_account}-{number}",
                            "mark": f"{number:04}",
                        }
                        | ({"$user_id": user} if number % 2 else {}),
                    }
                    for number in range(2500)
                ]
                utils.import_events(events, timezone_offset=0)
                # Send everything again: stored events are recognised by their $insert_id.
                utils.import_events(events, timezone_offset=0)
                with tempfile.TemporaryDirectory() as folder:
                    file = os.path.join(folder, "events.json")
                    query = {"from_date": day(2), "to_date": day(0), "event": json.dumps([name])}
                    utils.export_events(file, query, timezone_offset=0)
                    exported = read(file)
                    found = sorted(event["properties"]["mark"] for event in exported)
                    self.assertEqual(found, [f"{number:04}" for number in range(2500)])
                    owners = {event["properties"]["distinct_id"] for event in exported}
                    # Half of them arrived before their device was linked to the user.
                    if self.is_simplified:
                        self.assertEqual(owners, {user})
                    else:
                        self.assertEqual(owners, {user, device})
                    times = {event["properties"]["time"] for event in exported}
                    self.assertEqual(times, set(range(then, then + 2500)))

    def exported(self, project):
        """All events of a project, as mixpanel-utils exports them, and their file."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = os.path.join(folder.name, "events.json")
        query = {"from_date": "2000-01-01", "to_date": "2100-01-01"}
        self.utils(by_account=True, project=project).export_events(file, query, timezone_offset=0)
        return read(file), file

    def test_utils_copy_a_project(self):
        # AR-4: an export of a project is an import of another, strict, and twice without duplicates.
        project = Project(f"copied-{self.engine}")
        sdk = mixpanel.Mixpanel(project.token, consumer=mixpanel.Consumer(**URLS))
        device, user = str(uuid.uuid4()), self.id("u")
        old, new, other, stranger = (self.id(name) for name in ["old", "new", "other", "stranger"])
        anonymous = {"$device_id": device}
        known = anonymous | {"$user_id": user}
        sdk.track("$device:" + device, "View", anonymous)
        sdk.track(user, "$identify", known | {"$anon_distinct_id": "$device:" + device})
        sdk.track(user, "Log In", known)
        # O-11, S-8
        sdk.track("", "$identify", {"$identified_id": other, "$anon_id": device})
        # Their distinct_id is not the canonical one when they are exported. The aliases form a chain.
        sdk.track("$device:" + device, "$create_alias", {"alias": old})
        sdk.track(old, "$create_alias", {"alias": new})
        # Without a credential it is stored and not weighed.
        sdk.track("", "$merge", {"$distinct_ids": [user, stranger]})
        phone = {"token": project.token, "distinct_id": user, "time": time.time()}
        server_side = {"token": project.token, "distinct_id": new}
        batch = [
            {"event": "Tap", "properties": phone, "$mp_metadata": {"$mp_event_id": self.id("tap")}},
            {"event": "Paid", "properties": server_side},
        ]
        body = json.dumps(batch).encode()
        urllib.request.urlopen(urllib.request.Request(SERVER + "/track", body)).close()
        events, file = self.exported(project)
        for engine in ("simplified", "original", "legacy"):
            copy = Project(f"copy-of-{self.engine}-{engine}")
            for _ in range(2):
                with self.subTest(engine):
                    self.utils(by_account=False, project=copy).import_events(file, timezone_offset=0)
                    copied, _file = self.exported(copy)
                    self.assertEqual(len(copied), len(events))
                    if engine == "original":
                        self.assert_cluster(user, device, old, new, project=copy)
                    elif engine == "simplified":
                        self.assert_cluster(user, "$device:" + device, project=copy)
                    else:
                        # Aliases alone join, and $identify does not (L-8, L-11).
                        self.assert_cluster(device, old, new, project=copy)
                        self.assert_cluster(user, project=copy)
                    for alone in (other, stranger):
                        self.assert_cluster(alone, project=copy)

    def test_utils_people(self):
        utils = self.utils(by_account=True)
        users = [self.id(f"u{number:04}") for number in range(1200)]
        profiles = [
            {"$distinct_id": user, "$properties": {"$email": f"{user}@example.com", "batch": self.id("p")}}
            for user in users
        ]
        utils.import_people(profiles)
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "people.json")
            utils.export_people(file)
            exported = read(file)
        mine = {
            profile["$distinct_id"]: profile["$properties"]["$email"]
            for profile in exported
            if profile["$properties"].get("batch") == self.id("p")
        }
        self.assertEqual(mine, {user: f"{user}@example.com" for user in users})


class Simplified(Cases, unittest.TestCase):
    engine = "simplified"


class Original(Cases, unittest.TestCase):
    engine = "original"


class Legacy(Cases, unittest.TestCase):
    engine = "legacy"


if __name__ == "__main__":
    unittest.main(verbosity=2)
