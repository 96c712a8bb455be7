"""One order at a certificate authority, with the library of ACME."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from typing import Any

import josepy.jwa
import josepy.jwk
import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from havre.base.errors import InvalidError, UnavailableError
from havre.base.secret import Secret
from havre.drivers.acme import Account, Directory, Issued

NETWORK_S = 30


def new_key() -> Secret:
    made = ec.generate_private_key(ec.SECP256R1())
    kind = serialization.PrivateFormat.PKCS8
    return Secret(made.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode())


def order(
    directory: Directory,
    account: Account,
    host: str,
    put_token: Callable[[str, str], None],
    drop_token: Callable[[str], None],
    limit_s: float,
) -> Issued:
    """See `havre.drivers.acme.order`."""
    try:
        return _order(directory, account, host, put_token, drop_token, limit_s)
    except errors.ValidationError as cause:
        raise InvalidError(f"{_place(directory)} could not reach {host}: {_of_validation(cause)}") from cause
    except errors.TimeoutError as cause:
        raise UnavailableError(f"{_place(directory)} did not finish the order within {limit_s:.0f} s") from cause
    except messages.Error as cause:
        if cause.code in ("badNonce", "rateLimited", "serverInternal"):
            raise UnavailableError(f"{_place(directory)} is busy: {cause.detail or cause.typ}") from cause
        raise InvalidError(f"{_place(directory)} refused: {cause.detail or cause.typ}") from cause
    except (requests.RequestException, errors.Error, json.JSONDecodeError, ValueError) as cause:
        raise UnavailableError(f"{_place(directory)} did not answer as an ACME server") from cause


def _order(
    directory: Directory,
    account: Account,
    host: str,
    put_token: Callable[[str, str], None],
    drop_token: Callable[[str], None],
    limit_s: float,
) -> Issued:
    speaker, uri = _client(directory, account)
    key = new_key()
    try:
        placed = speaker.new_order(_request(host, key))
    except messages.Error as error:
        if error.code != "accountDoesNotExist" or not account.uri:
            raise
        speaker, uri = _client(directory, Account(account.key))  # it has forgotten us: introduce ourselves again
        placed = speaker.new_order(_request(host, key))
    tokens: list[str] = []
    try:
        for challenge in _http_challenges(placed):
            response, validation = challenge.response_and_validation(speaker.net.key)
            token = challenge.chall.encode("token")
            tokens.append(token)
            put_token(token, validation)
            speaker.answer_challenge(challenge, response)
        deadline = datetime.datetime.fromtimestamp(_now_s() + limit_s)
        done = speaker.poll_and_finalize(placed, deadline)
    finally:
        for token in tokens:
            drop_token(token)
    return Issued(done.fullchain_pem, key, uri)


def _client(directory: Directory, account: Account) -> tuple[Any, str]:
    """A client that speaks for the account, registered if it was not."""
    key = josepy.jwk.JWKEC.load(account.key.reveal().encode())
    net = client.ClientNetwork(key, alg=josepy.jwa.ES256, user_agent="havre", timeout=NETWORK_S)
    net.session.trust_env = False
    net.verify_ssl = directory.ca_bundle or True  # type: ignore[assignment]  # handed on to requests as it is
    made = client.ClientV2(client.ClientV2.get_directory(directory.url, net), net)
    if account.uri:
        net.account = messages.RegistrationResource(uri=account.uri, body=messages.Registration())
        return made, account.uri
    binding = None
    if directory.eab_key is not None:
        binding = messages.ExternalAccountBinding.from_data(
            account_public_key=key.public_key(),
            kid=directory.eab_key_id,
            hmac_key=directory.eab_key.reveal(),
            directory=made.directory,
        )
    new = messages.NewRegistration.from_data(
        email=directory.email or None, terms_of_service_agreed=True, external_account_binding=binding
    )
    try:
        uri = made.new_account(new).uri
    except errors.ConflictError as known:
        uri = known.location
        net.account = messages.RegistrationResource(uri=uri, body=messages.Registration())
    return made, uri


def _http_challenges(placed: Any) -> list[Any]:
    """The HTTP-01 questions of what is not yet proven."""
    found = []
    for authorization in placed.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue
        wanted = [each for each in authorization.body.challenges if isinstance(each.chall, challenges.HTTP01)]
        if not wanted:
            raise InvalidError(f"the authority offers no HTTP-01 for {authorization.body.identifier.value}")
        found.append(wanted[0])
    return found


def _request(host: str, key: Secret) -> bytes:
    private = serialization.load_pem_private_key(key.reveal().encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)] if len(host) <= 64 else [])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return made.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _place(directory: Directory) -> str:
    return f"the certificate authority {directory.url}"


def _of_validation(error: Any) -> str:
    for authorization in error.failed_authzrs:
        for challenge in authorization.body.challenges:
            if challenge.error is not None:
                return str(challenge.error.detail)
    return "it said no more"


def _now_s() -> float:
    return time.time()  # noqa: TID251 - the library compares its deadline with the machine's clock
