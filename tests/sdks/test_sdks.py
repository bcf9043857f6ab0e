"""AWS's SDKs for Go, Java and JavaScript as customers of a running serve: what they catch, and what they sign.

ROADSTEAD_SDKS=yes runs them, as `make soak` does: the SDKs come from their registries (52 MB of JavaScript, 18 MB of
Java), and Go's takes 20 s of a processor to build the first time. All that is kept in Roadstead's cache.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from testkit import api_served

from roadstead.contract.messages.sections import access, principals, webhooks
from roadstead.porter import tokens
from roadstead.wire import sigv4

ROOT = Path(__file__).parent
CACHE = Path(os.environ.get("ROADSTEAD_CACHE") or Path.home() / ".cache" / "roadstead") / "tests" / "sdks"
BUILDING = 900.0
ASKING = 120.0
pytestmark = pytest.mark.skipif(not os.environ.get("ROADSTEAD_SDKS"), reason="ROADSTEAD_SDKS asks for the SDKs")
Said = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    folder = tmp_path_factory.mktemp("serve")
    provider = ("--provider", str(folder / "provider.json"))
    with api_served.served(
        folder / "state", folder / "home", *provider, module="tests.wire.serve_with_provider"
    ) as running:
        yield running


def said(serve: api_served.Served, command: list[str], folder: Path) -> Said:
    """What a customer was answered, by its questions."""
    found = serve.profile
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(serve.home),
        "AWS_ACCESS_KEY_ID": found.access_key,
        "AWS_SECRET_ACCESS_KEY": found.secret,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": serve.endpoint,
    }
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=ASKING, check=False)
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {line["question"]: line for line in lines}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


@pytest.fixture(scope="module")
def go(serve: api_served.Served) -> Said:
    program = CACHE / "go" / "customer"
    build = [tool("go"), "build", "-o", str(program), "."]
    subprocess.run(build, cwd=ROOT / "go", timeout=BUILDING, check=True)
    return said(serve, [str(program)], program.parent)


@pytest.fixture(scope="module")
def javascript(serve: api_served.Served) -> Said:
    node, npm, folder = tool("node"), tool("npm"), CACHE / "js"
    folder.mkdir(parents=True, exist_ok=True)
    before = (folder / "package-lock.json").read_bytes() if (folder / "node_modules").is_dir() else b""
    for file in (ROOT / "js").iterdir():
        shutil.copyfile(file, folder / file.name)
    if before != (folder / "package-lock.json").read_bytes():
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, timeout=BUILDING, check=True, stdout=subprocess.DEVNULL)
    return said(serve, [node, "customer.mjs"], folder)


@pytest.fixture(scope="module")
def java(serve: api_served.Served) -> Said:
    folder = CACHE / "java"
    folder.mkdir(parents=True, exist_ok=True)
    pom, libraries = folder / "pom.xml", folder / "target" / "dependency"
    if not libraries.is_dir() or pom.read_bytes() != (ROOT / "java" / "pom.xml").read_bytes():
        shutil.rmtree(libraries, ignore_errors=True)
        shutil.copyfile(ROOT / "java" / "pom.xml", pom)
        command = [tool("mvn"), "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        subprocess.run(command, cwd=folder, timeout=BUILDING, check=True)
    return said(serve, [tool("java"), "-cp", f"{libraries}/*", str(ROOT / "java" / "Customer.java")], folder)


@pytest.fixture(params=["go", "java", "javascript"])
def answers(request: pytest.FixtureRequest) -> Said:
    found: Said = request.getfixturevalue(request.param)
    return found


def test_who_asks_is_told(answers: Said) -> None:
    for question in ("identity", "global"):
        assert str(answers[question]["answer"]).endswith(":user/admin"), answers[question]


@pytest.mark.parametrize(
    ("question", "code", "status"),
    [
        ("no cluster", "ResourceNotFoundException", 404),
        ("no name", "InvalidParameterException", 400),
        ("constraint", "InvalidParameterException", 400),
        ("no role", "NoSuchEntity", 404),
        ("no arn", "ValidationError", 400),
        ("web identity", "UnsupportedOperation", 501),
    ],
)
def test_what_is_refused_is_caught_by_its_type(answers: Said, question: str, code: str, status: int) -> None:
    told = answers[question]
    # The model's shape of NoSuchEntity is NoSuchEntityException, by which JavaScript calls it.
    assert told["code"] in (code, f"{code}Exception"), told
    assert told["status"] == status
    modelled = question not in ("no arn", "web identity")
    assert (told["type"].rpartition(".")[2].startswith(code)) == modelled, told


def test_codes_that_go_catches_have_their_members(go: Said) -> None:
    assert go["no cluster, caught"]["answer"] is True
    assert go["no role, caught"]["answer"] is True


def test_what_is_missing_is_told_to_clients_that_send_it_so(java: Said, javascript: Said) -> None:
    for told in (java, javascript):
        assert (told["missing"]["code"], told["missing"]["status"]) == ("InvalidParameterException", 400)
        assert "'roleArn' failed to satisfy constraint: Member must not be null" in told["missing"]["message"]


def test_what_javascript_sends_otherwise(javascript: Said) -> None:
    assert str(javascript["packed"]["answer"]).endswith(":user/admin")
    assert javascript["slashed"]["answer"] == []
    # It sets its clock by the answer and would ask again; it was told to ask once.
    assert (javascript["old"]["code"], javascript["old"]["status"]) == ("InvalidSignatureException", 403)


def test_a_url_that_go_presigns_is_good(go: Said) -> None:
    url = go["presigned"]["answer"]
    assert "X-Amz-Expires" not in url
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert b":user/admin</Arn>" in answer.read()


@pytest.mark.parametrize("expires", ["", "60"])
def test_tokens_that_go_makes_let_in(serve: api_served.Served, go: Said, expires: str) -> None:
    now = dt.datetime.now(dt.UTC)
    arn, account = str(go["identity"]["answer"]), str(go["identity"]["answer"]).split(":")[4]
    scope = sigv4.Scope(f"{now:%Y%m%d}", "eu-central-1", "sts")
    keys = {scope.date: {scope.region: sigv4.signing_key(serve.profile.secret, scope)}}
    cluster = webhooks.Cluster(name="shop", account=account, region=scope.region, certificate="", key="", bearer="b")
    principal = principals.Principal(arn=arn, id="AIDA1", account=account, keys=keys)
    entry = access.Entry(principal_id="AIDA1", username="ann", groups=(), policies=())
    known = tokens.Known(cluster, {arn: entry}, {serve.profile.access_key: principal})
    token = go[f"token{expires}"]["answer"]
    assert tokens.user(token, known, now).name == "ann"
    assert tokens.user(token, known, now + dt.timedelta(minutes=14)).name == "ann"
    with pytest.raises(tokens.TokenRefused, match="expired"):
        tokens.user(token, known, now + dt.timedelta(minutes=16))
