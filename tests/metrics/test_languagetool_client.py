"""Asking a LanguageTool server: what is sent and read, what is tried again, and what is said in the end."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from loopback_languagetool import loopback_stranger


@pytest.fixture
def client(part, monkeypatch):
    module = part("languagetool_client")
    monkeypatch.setattr(module, "PAUSES_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.5)
    return module


@pytest.mark.parametrize("ending", ["", "/", "/v2", "/v2/"])
def test_rule_ids_come_in_the_order_of_the_text_with_the_version(client, loopback, ending):
    server = client.NamedServer(loopback.url + ending)
    found = client.check(server, "In teh morning He go & sing, 100% über?")
    assert found == client.Findings(("MORFOLOGIK_RULE_EN_US", "HE_VERB_AGR"), "LanguageTool 0.0")
    assert loopback.log == [("en-US", "In teh morning He go & sing, 100% über?")]


def test_rules_can_be_left_out(client, loopback):
    server = client.NamedServer(loopback.url)
    assert client.check(server, "In teh morning.", ("MORFOLOGIK_RULE_EN_US",)).rule_ids == ()
    assert loopback.disabled == [["MORFOLOGIK_RULE_EN_US"]]


@pytest.mark.parametrize("trouble", [[500], [503, 429], ["hang"], ["hang", 502]], ids=str)
def test_passing_trouble_is_overcome(client, loopback, trouble):
    loopback.trouble = list(trouble)
    assert client.check(client.NamedServer(loopback.url), "He go.").rule_ids == ("HE_VERB_AGR",)
    assert len(loopback.log) == len(trouble) + 1


@pytest.mark.parametrize(
    ("trouble", "words"), [([500] * 3, "500 Internal Server Error"), (["hang"] * 3, r"nothing within 0\.5 seconds")]
)
def test_lasting_trouble_is_one_line_after_three_attempts(client, part, loopback, trouble, words):
    loopback.trouble = list(trouble)
    with pytest.raises(part("unavailable").UnavailableError, match=f"no answer in 3 attempts: {words}") as caught:
        client.check(client.NamedServer(loopback.url), "Text.")
    assert "\n" not in str(caught.value)
    assert loopback.url in str(caught.value)
    assert loopback.trouble == []


def test_a_refusal_is_not_repeated(client, part, loopback):
    loopback.trouble = [413]
    with pytest.raises(part("unavailable").UnavailableError, match="refuses the text: 413"):
        client.check(client.NamedServer(loopback.url), "Text.")
    assert len(loopback.log) == 1


def test_nobody_there_is_said_so(client, part):
    with pytest.raises(part("unavailable").UnavailableError, match="refused"):
        client.check(client.NamedServer("http://127.0.0.1:9"), "Text.")


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8081",
        "nonsense",
        "http://",
        "ftp://x",
        "http://a:b",
        "http://a:99999",
        "http://a:0",
        "http://[::1",
        "http://ü..x",
        "",
        "http://a b",
    ],
)
def test_what_is_no_address_is_refused(client, address):
    with pytest.raises(ValueError, match=r"address .*http://localhost:8081"):
        client.NamedServer(address)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html></html>", "not LanguageTool"),
        (b"[]", "not LanguageTool"),
        (b"{}", "not LanguageTool"),
        (b'{"matches": [{}]}', "not LanguageTool"),
        (b"\xff", "not LanguageTool"),
        (json.dumps({"matches": [], "warnings": {"incompleteResults": True}}).encode(), "stopped before"),
    ],
)
def test_what_is_not_languagetool_is_one_line(client, part, body, words):
    with loopback_stranger(body) as address:
        with pytest.raises(part("unavailable").UnavailableError, match=words) as caught:
            client.check(client.NamedServer(address), "Text.")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("trouble", ["cut off", "hang"])
def test_an_error_whose_text_does_not_come_is_an_error_all_the_same(client, part, trouble):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(500)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"ff\r\nhalf of")
            self.wfile.flush()
            if trouble == "hang":
                over.wait(10)

        def log_message(self, *arguments):
            pass

    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        with pytest.raises(part("unavailable").UnavailableError, match="in 3 attempts: 500 Internal"):
            client.check(client.NamedServer(f"http://127.0.0.1:{server.server_port}"), "Text.")
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_a_proxy_is_not_asked_for_this_machine(client, loopback, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client.check(client.NamedServer(loopback.url), "Text.").rule_ids == ()


class Replaceable:
    """An endpoint that counts how often its server was taken to be broken."""

    def __init__(self, url):
        self.address, self.replaced = url, 0

    def url(self):
        return self.address

    def replace(self, url):
        self.replaced += 1


@pytest.mark.parametrize(
    ("trouble", "replaced"), [([500, 503], 0), (["hang"], 0), (["hang", "hang"], 1), (["hang", 500], 0)], ids=str
)
def test_a_slow_server_is_replaced_at_the_second_time_and_a_busy_one_never(client, loopback, trouble, replaced):
    loopback.trouble = list(trouble)
    server = Replaceable(loopback.url)
    assert client.check(server, "He go.").rule_ids == ("HE_VERB_AGR",)
    assert server.replaced == replaced


def test_a_dead_server_is_replaced_at_once(client, part):
    server = Replaceable("http://127.0.0.1:9")
    with pytest.raises(part("unavailable").UnavailableError, match="refused"):
        client.check(server, "Text.")
    assert server.replaced == 2
