"""What every test through Dataiku's own client starts from: clients, bundles, and an account of what was called.

The Slipway under test and its keys come by the environment: SLIPWAY_URL, and SLIPWAY_KEYS, a JSON object of API keys
by group (`admins` too). SLIPWAY_RUN sets this run's deployments apart from others on the same engine.
"""

import functools
import io
import json
import os
import subprocess
import time
import unittest
import zipfile

import dataikuapi
import requests
from dataikuapi.dss import future, project_standards, projectdeployer, scenario
from dataikuapi.utils import DataikuException

URL = os.environ.get("SLIPWAY_URL", "")
KEYS = json.loads(os.environ.get("SLIPWAY_KEYS", "{}"))
RUN = os.environ.get("SLIPWAY_RUN", "0")

# The client's classes that an operation can be on; of DSSClient only what leads to them.
CLASSES = [
    *(
        value
        for module in (projectdeployer, future)
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ),
    scenario.DSSTestingStatus,
    project_standards.DSSProjectStandardsRunReport,
    project_standards.DSSProjectStandardsCheckRunInfo,
    project_standards.DSSProjectStandardsCheckRunResult,
]
OF_CLIENT = ["get_projectdeployer", "get_future", "list_futures", "list_running_scenarios"]


def operations():
    """Every public method and property of the client's classes, as `Class.name`."""
    found = {f"DSSClient.{name}" for name in OF_CLIENT}
    for kind in CLASSES:
        for name, member in vars(kind).items():
            if not name.startswith("_") and (callable(member) or isinstance(member, (property, classmethod, staticmethod))):
                found.add(f"{kind.__name__}.{name}")
            if isinstance(member, property) and member.fset:
                found.add(f"{kind.__name__}.{name}=")
    return found


CALLED = set()


def _noting(name, function):
    @functools.wraps(function)
    def noted(*arguments, **named):
        CALLED.add(name)
        return function(*arguments, **named)

    return noted


def _instrument():
    """Notes each call; the client itself does what it does."""
    for kind in CLASSES + [dataikuapi.DSSClient]:
        for name, member in list(vars(kind).items()):
            full = f"{kind.__name__}.{name}"
            if name.startswith("_") or (kind is dataikuapi.DSSClient and name not in OF_CLIENT):
                continue
            if isinstance(member, property):
                setter = _noting(full + "=", member.fset) if member.fset else None
                setattr(kind, name, property(_noting(full, member.fget), setter, member.fdel, member.__doc__))
            elif isinstance(member, (classmethod, staticmethod)):
                setattr(kind, name, type(member)(_noting(full, member.__func__)))
            elif callable(member):
                setattr(kind, name, _noting(full, member))


_instrument()


def covers(*names):
    """Says which operations a test is about; the test fails where it did not call one of them."""

    def decorate(test):
        @functools.wraps(test)
        def checked(self):
            CALLED.clear()
            test(self)
            missed = set(names) - CALLED
            assert not missed, f"said to be covered and never called: {sorted(missed)}"

        checked.covers = set(names)
        return checked

    return decorate


def client(group):
    """Somebody of that group."""
    return dataikuapi.DSSClient(URL, KEYS[group])


def rest(group, method, path, body=None, expect=200):
    """Slipway's own REST API, for what Dataiku's has no word for."""
    headers = {"Authorization": f"Bearer {KEYS[group]}"}
    answer = requests.request(method, f"{URL}/api/v1{path}", json=body, headers=headers, timeout=60)
    assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.text else None


def docker(*arguments):
    """The engine's own word."""
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=120)
    return done.stdout.strip()


WEB = """\
name: {project}
x-slipway: {{version: "{version}"}}
services:
  web:
    image: busybox:lab
    command: ["sh", "-c", "echo hello from {version}; touch /tmp/ok; exec sleep 3600"]
    stop_grace_period: 0s
    {more}
"""
CHECK = 'healthcheck: {test: ["CMD", "test", "-f", "/tmp/ok"], interval: 1s, timeout: 2s, retries: 1}'


def bundle(project, version, more=CHECK, compose=None):
    """An archive in memory; as the client sends it, its name says nothing."""
    text = compose or WEB.format(project=project, version=version, more=more)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("compose.yaml", text)
    archive.seek(0)
    return archive


def by_id(listed, kind):
    """What `as_objects=False` lists, by id."""
    return {one[kind]["id"]: one for one in listed}


def permission(group, **rights):
    """An entry of a permissions list."""
    return {"group": group, **rights}


class Case(unittest.TestCase):
    """Signs in as an administrator; what a test makes, it takes away."""

    maxDiff = None

    def setUp(self):
        self.client = client("admins")
        self.deployer = self.client.get_projectdeployer()
        self.addCleanup(self.sweep)

    def refused(self, kind, words, call, *arguments, **named):
        """Runs what must fail; checks the exception's type and that its text helps."""
        with self.assertRaises(DataikuException) as raised:
            call(*arguments, **named)
        text = str(raised.exception)
        self.assertTrue(text.split(":")[0].endswith(kind), text)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, text)
        return text

    def until(self, look, good, seconds=60):
        """Looks again until it is good; answers what was seen."""
        end = time.monotonic() + seconds
        while True:
            seen = look()
            if good(seen):
                return seen
            assert time.monotonic() < end, f"not so after {seconds} s: {seen}"
            time.sleep(0.1)

    def healthy(self, deployment, wanted="HEALTHY"):
        """Waits for a health."""
        return self.until(deployment.get_status, lambda status: status.get_health() == wanted)

    def deploy(self, project="iris", infra="local", version="1", deployment=None, **named):
        """A deployment that was made and not updated."""
        deployment = deployment or f"{project}-on-{infra}-{RUN}"
        return self.deployer.create_deployment(deployment, project, infra, version, **named)

    def containers(self, deployment):
        """The ids of a deployment's running containers, as the engine has them."""
        listed = docker("ps", "-q", "--filter", f"label=io.slipway.workload={deployment.id}")
        return listed.split()

    def sweep(self):
        """Stops and deletes every deployment, then everything that they used."""
        for deployment in self.deployer.list_deployments():
            self.remove(deployment)
        for project in self.deployer.list_projects():
            project.delete()
        for infra in self.deployer.list_infras():
            if infra.id != "local":
                infra.delete()

    def remove(self, deployment):
        """Disables, updates, deletes."""
        for update in rest("admins", "GET", f"/deployments/{deployment.id}/updates"):
            self.until(
                lambda: rest("admins", "GET", f"/deployments/{deployment.id}/updates/{update['number']}"),
                lambda seen: seen["status"]["state"] not in ("queued", "running"),
            )
        settings = deployment.get_settings()
        if deployment.get_status().get_light()["neverEverDeployed"]:
            deployment.delete()
            return
        settings.get_raw()["enabled"] = False
        settings.save(ignore_warnings=True)
        deployment.start_update().wait_for_result()
        deployment.delete()
