"""Every method on every port with every kind of credentials: nothing but health
and probes answers who shows none that are good."""

import http.client
import io
import os
import pathlib
import re
import socket
import subprocess

import grpc
import pytest

import attnserve
from attnserve import errors
from certificates import CertificateAuthority
from contract_methods import contract_methods
from server_fixtures import Server

METHODS = contract_methods()
GOOD, FOREIGN, MONITOR, BAD = (
    "good-token-of-search", "good-token-of-ranking", "good-token-of-prometheus", "a-token-that-nobody-has")
PROBES = ["/livez", "/readyz"]
PAGES = ["/metrics", "/statusz", "/statusz?format=json", "/statusz.js", "/statusz.css", "/", "/anything"]
DENIED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
OK, UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE = (
    grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAVAILABLE)


def bearer(*tokens):
    return [("authorization", f"Bearer {token}") for token in tokens]


# What is shown, and what is answered where a token is wanted.
SHOWN = {
    "nothing": ([], UNAUTHENTICATED),
    "a token that nobody has": (bearer(BAD), UNAUTHENTICATED),
    "an empty token": (bearer(""), UNAUTHENTICATED),
    "another scheme": ([("authorization", f"Basic {GOOD}")], UNAUTHENTICATED),
    "two tokens": (bearer(GOOD, GOOD), UNAUTHENTICATED),
    "a monitor's token": (bearer(MONITOR), PERMISSION_DENIED),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def files(folder):
    """The flags of each kind of credentials, and clients' identities by name."""
    authority, stranger = CertificateAuthority(folder, "ca"), CertificateAuthority(folder, "stranger")
    server = authority.sign("server", "attnserve", "DNS:localhost,IP:127.0.0.1")
    tokens = folder / "tokens"
    tokens.write_text(f"search {GOOD}\nranking {FOREIGN}\nprometheus {MONITOR} monitor\n")
    return {
        "authority": authority,
        "ca": authority.certificate,
        "tls": ["--tls-certificate", server.certificate, "--tls-key", server.key],
        "client_ca": ["--tls-client-ca", authority.certificate],
        "tokens": ["--token-file", tokens],
        "good": authority.sign("good", "ignored", "URI:spiffe://corp/search,DNS:search.corp"),
        "nameless": authority.sign("nameless", "no tenant"),
        "foreign": stranger.sign("foreign", "search", "URI:spiffe://corp/search"),
    }


@pytest.fixture(scope="module")
def start(binary, folder):
    """start(flags...) -> a server that lives as long as the module's tests."""
    servers = []
    # Else LoadLayer and UnloadLayer are PERMISSION_DENIED to everybody.
    loading = ["--layers", folder, "--load-layers", "none", "--layer-loading"]

    def start_one(*flags):
        server = Server(binary, *map(str, [*loading, *flags]))
        servers.append(server)
        server.address()
        return server

    yield start_one
    for server in servers:
        assert server.stop() == 0
        assert not any(token in line for line in server.log for token in (GOOD, FOREIGN, MONITOR, BAD))


@pytest.fixture(scope="module")
def with_tokens(start, files, folder):
    return start(*files["tokens"], "--shared-memory-socket", folder / "memory")


@pytest.fixture(scope="module")
def with_mtls(start, files):
    return start(*files["tls"], *files["client_ca"])


@pytest.fixture(scope="module")
def with_both(start, files):
    return start(*files["tls"], *files["client_ca"], *files["tokens"])


def open_channel(server, files, who):
    """who: plain, nobody (TLS without a certificate) or the name of an identity."""
    if who == "plain":
        return grpc.insecure_channel(server.address())
    identity = files.get(who)
    credentials = grpc.ssl_channel_credentials(
        files["ca"].read_bytes(), identity and identity.key.read_bytes(),
        identity and identity.certificate.read_bytes())
    return grpc.secure_channel(server.address(), credentials, [("grpc.enable_retries", 0)])


def codes(server, files, who, metadata=(), methods=None):
    """What each method is answered."""
    with open_channel(server, files, who) as channel:
        return {str(method): method.code(channel, list(metadata)) for method in methods or METHODS}


def expected(code_of_all):
    return {str(method): OK if method.is_health else code_of_all for method in METHODS}


def get(server, path, *tokens):
    """The status of an HTTP page and its headers."""
    address = re.search(r"http=(\S+)", "".join(server.log)).group(1)
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.putrequest("GET", path)
    for token in tokens:
        connection.putheader("Authorization", f"Bearer {token}")
    connection.endheaders()
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def ask_for_memory(path, token):
    """Whether a region was granted, at the shared memory's socket."""
    request = b"\x08\x80\x20" + (b"\x12" + bytes([len(token)]) + token.encode() if token else b"")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.send(request)
        _, descriptors, _, _ = socket.recv_fds(client, 4096, 1)
    return bool(descriptors)


def test_methods_are_those_that_the_server_counts(with_tokens):
    _, page = get(with_tokens, "/metrics", MONITOR)
    counted = {(match[2], match[1]) for match in re.finditer(
        r'^grpc_server_started_total\{grpc_method="(\w+)",grpc_service="([\w.]+)"', page, re.MULTILINE)}
    assert {(method.service, method.name) for method in METHODS} == counted


@pytest.mark.parametrize("shown", SHOWN)
def test_without_a_clients_token_only_health_answers(with_tokens, files, shown):
    metadata, code = SHOWN[shown]
    assert codes(with_tokens, files, "plain", metadata) == expected(code)


def test_a_clients_token_opens_every_method(with_tokens, files):
    denied = {name for name, code in codes(with_tokens, files, "plain", bearer(GOOD)).items() if code in DENIED}
    assert not denied


@pytest.mark.parametrize("who", ["plain", "nobody", "foreign"])
def test_without_a_certificate_of_the_ca_nothing_answers(with_mtls, files, who):
    assert set(codes(with_mtls, files, who, methods=METHODS[:2]).values()) == {UNAVAILABLE}


def test_a_certificate_opens_every_method(with_mtls, files):
    assert not DENIED & set(codes(with_mtls, files, "good").values())


def test_a_certificate_without_a_tenants_name_opens_health_alone(with_mtls, files):
    assert codes(with_mtls, files, "nameless") == expected(UNAUTHENTICATED)


@pytest.mark.parametrize(("common_name", "alternative_names", "is_named"), [
    ("search", "", True),
    ("not a name", "DNS:search.corp", True),
    ("not a name", "DNS:search.corp,URI:spiffe://corp/search", True),
    ("search", "DNS:search.corp,URI:spiffe://corp/not?a=name", False),
    ("search", "URI:spiffe://corp/search,URI:spiffe://corp/not?a=name", True),
    ("search", "URI:spiffe://corp/not?a=name,URI:spiffe://corp/search", False),
])
def test_the_first_uri_then_the_first_dns_name_then_the_common_name_is_the_tenant(
        with_mtls, files, common_name, alternative_names, is_named):
    """Which of them it is shows where only some could be a tenant's name."""
    named = {**files, "one": files["authority"].sign("one", common_name, alternative_names)}
    method = next(method for method in METHODS if method.name == "GetSession")
    code, = codes(with_mtls, named, "one", methods=[method]).values()
    assert (code is not UNAUTHENTICATED) == is_named


@pytest.mark.parametrize("shown", SHOWN)
def test_beside_tokens_a_certificate_is_only_the_door(with_both, files, shown):
    metadata, code = SHOWN[shown]
    assert codes(with_both, files, "good", metadata) == expected(code)


@pytest.mark.parametrize("who", ["plain", "nobody", "foreign"])
def test_beside_certificates_a_token_alone_opens_nothing(with_both, files, who):
    assert set(codes(with_both, files, who, bearer(GOOD), METHODS[:2]).values()) == {UNAVAILABLE}


@pytest.mark.parametrize("who", ["good", "nameless"])
def test_both_together_open_every_method(with_both, files, who):
    assert not DENIED & set(codes(with_both, files, who, bearer(GOOD)).values())


@pytest.mark.parametrize("kind", ["with_tokens", "with_both", "with_mtls"])
def test_over_http_only_probes_answer_strangers(kind, request):
    server = request.getfixturevalue(kind)
    for tokens in ([], [BAD], [""], [GOOD, GOOD]):
        assert {get(server, path, *tokens)[0] for path in PROBES} == {200}
        assert {get(server, path, *tokens)[0] for path in PAGES} == {401}


@pytest.mark.parametrize("kind", ["with_tokens", "with_both"])
def test_over_http_every_token_opens_the_pages(kind, request):
    server = request.getfixturevalue(kind)
    for token in (GOOD, MONITOR):
        assert {get(server, path, token)[0] for path in PAGES} == {200, 404}


def test_certificates_alone_open_no_page(with_mtls):
    assert {get(with_mtls, path, GOOD)[0] for path in PAGES} == {401}


def test_memory_is_shared_with_clients_tokens_alone(with_tokens, folder):
    granted = [token for token in ("", BAD, MONITOR, GOOD) if ask_for_memory(folder / "memory", token)]
    assert granted == [GOOD]


def test_denials_are_counted(start, files):
    server = start(*files["tokens"])
    codes(server, files, "plain", methods=[method for method in METHODS if method.name == "Attend"])
    get(server, "/metrics", BAD)
    _, page = get(server, "/metrics", MONITOR)
    assert 'attn_access_denied_total{code="Unauthenticated",port="grpc"} 1\n' in page
    assert 'attn_access_denied_total{code="Unauthenticated",port="http"} 1\n' in page
    assert re.search(r'grpc_server_handled_total\{grpc_code="Unauthenticated",grpc_method="Attend",.*\} 1\n', page)


def test_without_credentials_everybody_comes_in(start, files):
    server = start()
    assert not DENIED & set(codes(server, files, "plain").values())
    assert get(server, "/metrics")[0] == 200


def test_another_tenants_token_finds_no_session(with_tokens, tensors):
    key, value = tensors((1, 1, 4, 8), (1, 1, 4, 8))
    with (attnserve.Client(with_tokens.address(), token=GOOD) as owner,
          attnserve.Client(with_tokens.address(), token=FOREIGN) as stranger):
        owner.create_session(num_kv_heads=1, head_dim=8, session_id="mine").append(key, value)
        state, = owner.list_sessions()
        found = attnserve.Session(stranger, state, is_owned=False)
        for call in (found.refresh, found.delete, lambda: found.append(key, value), lambda: found.truncate(0),
                     lambda: found.fork("copy"), lambda: found.export(io.BytesIO()), lambda: found.attend(key),
                     lambda: stranger.open_session("mine")):
            with pytest.raises(errors.NotFoundError):
                call()
        assert not list(stranger.list_sessions())
        mine = owner.open_session("mine")
        assert list(mine.refresh().layer_lengths) == [4]
        mine.delete()


def test_the_python_client_shows_both(with_both, files):
    good = files["good"]
    tls = attnserve.Tls(files["ca"].read_bytes(), good.key.read_bytes(), good.certificate.read_bytes())
    with attnserve.Client(with_both.address(), tls=tls, token=lambda: GOOD) as client:
        assert not list(client.list_sessions())
    with attnserve.Client(with_both.address(), tls=tls) as client:
        with pytest.raises(errors.AttnError, match="authorization must be given once"):
            list(client.list_sessions())


def test_healthcheck_needs_no_credentials(binary, with_both):
    def healthcheck(http_address):
        return subprocess.run([binary, "healthcheck"], stdout=subprocess.DEVNULL, env={
            "ATTNSERVE_HTTP_ADDRESS": http_address, "ATTNSERVE_TLS_CERTIFICATE": "/c", "ATTNSERVE_TLS_KEY": "/k"}
                              ).returncode

    assert healthcheck(re.search(r"http=(\S+)", "".join(with_both.log)).group(1)) == 0
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert healthcheck("127.0.0.1:%d" % nobody.getsockname()[1]) == 1


def attnctl(binary, *arguments, **environment):
    """The exit code of attnctl and all that it printed."""
    program = pathlib.Path(binary).parents[1] / "client/cpp/attnctl"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    ran = subprocess.run([program, *map(str, arguments)], env={**os.environ, **environment}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ran.returncode, ran.stdout


def test_attnctl_shows_both(binary, with_both, files, folder):
    good, token = files["good"], folder / "token"
    token.write_text(GOOD + "\n")
    flags = ["--address", with_both.address(), "--tls-ca", files["ca"], "--tls-certificate", good.certificate,
             "--tls-key", good.key, "--attempts", "1"]
    assert attnctl(binary, *flags, "--token-file", token, "session", "list") == (0, "no sessions\n")
    assert attnctl(binary, *flags, "session", "list", ATTNCTL_TOKEN=GOOD) == (0, "no sessions\n")
    assert attnctl(binary, *flags, "health")[0] == 0
    code, text = attnctl(binary, *flags, "session", "list")
    assert code == 1 and "authorization must be given once" in text
    assert attnctl(binary, *flags[:4], "session", "list", ATTNCTL_TOKEN=GOOD)[0] == 1
    address = re.search(r"http=(\S+)", "".join(with_both.log)).group(1)
    assert attnctl(binary, "--token-file", token, "stats", "--raw", "--http", address)[0] == 0
    assert "401" in attnctl(binary, "stats", "--raw", "--http", address)[1]


def test_attnctl_names_a_file_that_it_cannot_read(binary):
    for flag in ("--tls-ca", "--tls-certificate", "--tls-key", "--token-file"):
        assert attnctl(binary, flag, "/nonexistent", "health") == (2, "/nonexistent: cannot be read, or is empty\n"
                                                                   "Run with --help for more information.\n")


@pytest.mark.parametrize(("flags", "message"), [
    (["--tls-key", "tls-key"], "--tls-certificate and --tls-key must be given together; got only --tls-key"),
    (["--tls-client-ca", "ca"], "--tls-client-ca must come with --tls-certificate and --tls-key"),
    (["--token-file", "ca"], "token-file: line 1: a tenant must be 1 to 128 of"),
    (["--token-file", "none"], "cannot read"),
    (["--tls-certificate", "ca", "--tls-key", "ca"], "tls-key: must hold a private key in PEM, without a passphrase"),
    (["--tls-certificate", "ca", "--tls-key", "server"], "tls-key: must be the key of tls-certificate"),
    (["--tls-certificate", "tokens", "--tls-key", "server"], "tls-certificate: must hold certificates in PEM"),
    (["--token-file", "tokens", "--reflection"], "--reflection must be off with --token-file"),
])
def test_bad_files_are_errors_at_the_start(binary, files, flags, message):
    paths = {"tls-key": files["tls"][3], "server": files["tls"][3], "ca": files["ca"], "tokens": files["tokens"][1],
             "none": files["ca"].parent / "none"}
    with Server(binary, *(str(paths.get(flag, flag)) for flag in flags)) as server:
        with pytest.raises(RuntimeError, match=re.escape(message)):
            server.address()


def test_an_empty_client_ca_does_not_open_the_door(binary, files, folder):
    (folder / "empty").write_text("")
    with Server(binary, *map(str, files["tls"]), "--tls-client-ca", str(folder / "empty")) as server:
        with pytest.raises(RuntimeError, match="tls-client-ca: must hold certificates in PEM"):
            server.address()
