import csv
import io
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.data import transfer, warehouse
from common.data.sources import Bundled, FromEnvironment, from_url
from common.data.warehouse import Warehouse
from common.errors import SourceError
from tests.functional.data.conftest import PASSWORD, Postgres


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def answer(postgres: Postgres, query: str) -> list[list[str]]:
    return rows(Warehouse(postgres.url, query).read())


def complaint(url: str, query: str = "SELECT 1 AS one", **limits: float) -> str:
    """What the source says when it fails: never the password, always a remedy."""
    with pytest.raises(SourceError) as caught:
        Warehouse(url, query, **limits).read()  # type: ignore[arg-type]
    assert caught.value.remedy
    told = f"{caught.value} {caught.value.__cause__}"
    assert PASSWORD not in told
    assert "s3cr" not in told
    return str(caught.value)


def test_the_environment_leads_to_the_rows_of_the_query_that_the_model_declares(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run('CREATE TABLE customers (state text, "Day Mins" numeric(8, 2), churned boolean)')
    postgres.run("INSERT INTO customers VALUES ('CA', 265.10, true), ('N\"Y, \n', NULL, false)")
    source = FromEnvironment("CHURN_SOURCE", Bundled("abalone"), query='SELECT * FROM customers ORDER BY "Day Mins"')
    monkeypatch.setenv("CHURN_SOURCE", postgres.url)
    assert source.description == f"postgresql://127.0.0.1:{postgres.port}/telco"
    header, *records = rows(source.read())
    assert header == ["state", "Day Mins", "churned"]
    assert records == [["CA", "265.10", "true"], ['N"Y, \n', "", "false"]]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("NULL", ""),
        ("true", "true"),
        ("false", "false"),
        ("9007199254740993", "9007199254740993"),
        ("0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("'1e-9'::numeric", "0.000000001"),
        ("'1e20'::numeric", "100000000000000000000"),
        ("'Infinity'::float8", "inf"),
        ("'2024-02-29'::date", "2024-02-29"),
        ("'2024-02-29 23:30'::timestamp", "2024-02-29T23:30:00"),
        ("'2024-02-29 23:30-05'::timestamptz", "2024-03-01T04:30:00+00:00"),
        ("'É, \"ü\"'", 'É, "ü"'),
        ("'100% of %s at 10:30, a::b'", "100% of %s at 10:30, a::b"),
        ("gen_random_uuid()::text = ''", "false"),
    ],
)
def test_a_value_is_spelled_plainly(postgres: Postgres, value: str, cell: str) -> None:
    assert answer(postgres, f"SELECT {value} AS value, 1 AS one;") == [["value", "one"], [cell, "1"]]


@pytest.mark.parametrize(
    ("value", "kind"), [("ARRAY[1, 2]", "list"), ("'\\x00'::bytea", "bytes"), ("interval '1 day'", "timedelta")]
)
def test_a_value_that_no_cell_can_hold_is_named_by_its_column(postgres: Postgres, value: str, kind: str) -> None:
    message = complaint(postgres.url, f"SELECT 1 AS fine, {value} AS odd")
    assert f"values in column 'odd' that no cell can hold ({kind})" in message
    assert "CAST(odd AS text)" in message


def test_many_rows_come_in_chunks_and_all_arrive_in_order(postgres: Postgres) -> None:
    assert warehouse._CHUNK_ROWS < 12345 / 2
    header, *records = answer(postgres, "SELECT n FROM generate_series(1, 12345) AS n")
    assert header == ["n"]
    assert records == [[str(n)] for n in range(1, 12346)]


def test_rows_beyond_the_limit_are_refused_without_being_fetched(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 2**20)
    # Fetching all of them would take an hour.
    message = complaint(postgres.url, "SELECT repeat('x', 1000) AS x, generate_series(1, 1000000000) AS n")
    assert "is larger than 1 MiB" in message


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM clients", 'relation "clients" does not exist'),
        ("SELECT stat FROM pg_class", 'column "stat" does not exist'),
        ("SELECT * FROM telco.clients", 'relation "telco.clients" does not exist'),
        ("SELECT * FROM pg_authid", "permission denied for table pg_authid"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT 1; DROP TABLE customers", "multiple commands"),
        ("DROP TABLE customers", 'syntax error at or near "DROP"'),
        ("SELECT lo_create(0)", "cannot execute lo_create() in a read-only transaction"),
        ("SELECT 1 / (n - 6000) AS n FROM generate_series(1, 7000) AS n", "division by zero"),
        ("SELECT 'infinity'::date AS day", "date too large"),
        ("SELECT 1 AS one WHERE false", "has no rows for the query"),
        (
            "SELECT CASE n WHEN 6000 THEN pg_terminate_backend(pg_backend_pid()) END FROM generate_series(1, 7000) AS n",
            "broke off",
        ),
        ("SELECT ' :floor' AS day", "a value is required for bind parameter 'floor'"),
        (" \n", "the model declares none"),
    ],
)
def test_a_query_that_fails_is_told_with_what_was_wrong(postgres: Postgres, query: str, told: str) -> None:
    message = complaint(postgres.url, query)
    assert message.startswith(f"postgresql://127.0.0.1:{postgres.port}/telco ")
    assert told in message


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (":s3cr%3At", ":wrong", "refuses the login"),
        (":s3cr%3At%2F%2541@", "@", "refuses the login"),
        ("//ada:", "//bob:", "no pg_hba.conf entry"),
        ("/telco", "/telecom", 'database "telecom" does not exist'),
        ("/telco", "/telco?sslmode=require", "server does not support SSL"),
    ],
)
def test_a_server_that_refuses_the_connection_is_told(postgres: Postgres, old: str, new: str, told: str) -> None:
    assert old in postgres.url
    assert told in complaint(postgres.url.replace(old, new))


def test_an_address_without_a_server_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "could not be reached" in complaint(f"postgresql://ada:s3cr@127.0.0.1:{closed.getsockname()[1]}/telco")


def test_a_host_that_dns_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "DNS does not know" in complaint("postgresql://ada:s3cr@warehouse.invalid/telco")


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://ada:s3cr@127.0.0.1:{silent.getsockname()[1]}/telco"
        assert "did not answer in time" in complaint(url, connect_seconds=1)


def test_a_query_that_takes_too_long_is_given_up_by_the_server_or_here(postgres: Postgres) -> None:
    assert "took too long" in complaint(postgres.url, "SELECT pg_sleep(9)", statement_seconds=0.05)
    assert "gave not all rows within 0 s" in complaint(postgres.url, total_seconds=0)


def test_nothing_of_a_login_is_shown(postgres: Postgres) -> None:
    source = from_url(f"{postgres.url}?application_name=s3cr", "SELECT 1 AS one")
    assert source.description == f"postgresql://127.0.0.1:{postgres.port}/telco"
    assert "s3cr" not in repr(source)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://ada:s3cr@ther@host/telco", "malformed"),
        ("postgresql://ada:s3cr/telco", "malformed"),
        ("postgresql:///telco", "malformed"),
        ("postgresql://ada:s3cr@127.0.0.1/telco?hostaddr=192.0.2.1", "parameters hostaddr"),
        ("postgresql://ada:s3cr@127.0.0.1/telco?host=192.0.2.1", "parameters host."),
        ("postgresql://ada:s3cr@192.0.2.1/telco?sslmode=require&sslmode=disable", "parameters sslmode"),
        ("postgresql://ada:s3cr@192.0.2.1/telco?sslmode=disable", "sslmode=disable lets anybody on the way"),
        ("postgresql://ada:s3cr@192.0.2.1/telco?sslmode=prefer", "sslmode=prefer lets anybody on the way"),
    ],
)
def test_a_url_that_could_lead_elsewhere_or_in_the_clear_is_refused(url: str, told: str) -> None:
    assert told in complaint(url)


def test_another_machine_has_to_speak_tls(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "is_loopback", lambda _: False)
    for url in (postgres.url, f"{postgres.url}?sslmode=require"):
        assert "server does not support SSL" in complaint(url)


@contextmanager
def tls_server(certificate: Path) -> Iterator[int]:
    """Agrees to TLS as PostgreSQL does, shows the certificate, and hangs up on who accepts it. Yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def meet() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(8)
                peer.sendall(b"S")
                try:
                    with context.wrap_socket(peer, server_side=True) as secured:
                        secured.recv(1)
                except (ssl.SSLError, ConnectionError):
                    return  # the client has refused the certificate, which is what it is here for

        thread = threading.Thread(target=meet)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("address", "parameters", "told"),
    [
        ("127.0.0.1", "", "failed the TLS check"),
        ("127.0.0.1", "?sslrootcert={certificate}", "broke off"),
        ("192.0.2.1", "?sslrootcert={certificate}", "failed the TLS check"),
        ("192.0.2.1", "?sslrootcert={certificate}&sslmode=verify-ca", "broke off"),
        ("192.0.2.1", "?sslmode=require", "broke off"),
    ],
)
def test_a_server_shows_a_certificate_of_its_own_and_of_a_known_authority_unless_the_url_asks_for_less(
    address: str, parameters: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warehouse, "is_loopback", lambda _: False)
    certificate = self_signed(tmp_path, address)
    with tls_server(certificate) as port:
        parameters = parameters.format(certificate=certificate)
        assert told in complaint(f"postgresql://ada:s3cr@127.0.0.1:{port}/telco{parameters}")


def self_signed(folder: Path, address: str) -> Path:
    """A file with a new key and a certificate that it has signed for itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(alternative, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "server.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
