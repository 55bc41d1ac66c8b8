"""Where a webhook may lead: the operator's list, and nothing inside the machine's own network unless it names it."""

from ipaddress import ip_address

import pytest

from backend.serving.webhook_hosts import DISCORD, SLACK, check_address, is_inside, named_origins, read_address
from backend.settings import Settings
from memgen.contract.errors import BadInput

INSIDE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::", "2001:0:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_address_of_the_own_network_or_of_no_single_machine_is_inside(address: str) -> None:
    assert is_inside(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_address_is_outside(address: str) -> None:
    assert not is_inside(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "ftp://hooks.example.org/x", "hooks.example.org/x", "https://", "https://user:pass@hooks.example.org/x",
        "https://hooks.example.org/x#y", "https://hooks.example.org\\@evil.example/x", "https://höoks.example/x",
        "https://hooks.example.org/a b", "https://hooks.example.org/\n", "https://[::1", "https://a..b/x",
        "https://hooks.example.org:99999/x", "https://hooks.example.org/" + "x" * 2000, "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_address(address)
    assert len(address) < 10 or address not in str(refused.value)


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("hooks.example.org", "https://hooks.example.org/services/secret"),
        ("hooks.example.org", "https://HOOKS.example.org.:443/x"),
        ("hooks.example.org:8443", "https://hooks.example.org:8443/x"),
        ("*.example.org", "https://a.b.example.org/x"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/x"),
        ("https://[::1]:9000", "https://[0::1]:9000/x"),
        ("other.example, hooks.example.org", "https://hooks.example.org/x?token=y"),
    ],
)
def test_address_on_the_operators_list_is_allowed(named: str, address: str) -> None:
    origin = check_address(read_address(address), named_origins(named))
    assert origin.may_be_inside is not named.startswith("*.")


@pytest.mark.parametrize(
    ("named", "address", "code"),
    [
        ("", "https://hooks.example.org/x", "webhook_host"),
        ("hooks.example.org", "https://hooks.example.org.evil.example/x", "webhook_host"),
        ("hooks.example.org", "https://evil.example/hooks.example.org", "webhook_host"),
        ("hooks.example.org", "https://hooks.example.org:8443/x", "webhook_host"),
        ("hooks.example.org", "http://hooks.example.org/x", "webhook_not_https"),
        ("*.example.org", "https://example.org/x", "webhook_host"),
        ("*.example.org", "https://evilexample.org/x", "webhook_host"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9001/x", "webhook_not_https"),
        ("http://127.0.0.1:9000", "https://127.0.0.1:9000/x", "webhook_host"),
        ("127.0.0.1", "https://2130706433/x", "webhook_host"),
    ],
)
def test_other_address_is_refused_by_name_of_its_host_alone(named: str, address: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_address(read_address(address), named_origins(named))
    assert refused.value.code == code
    assert "/x" not in str(refused.value)


def test_services_have_their_own_hosts_which_may_never_be_inside() -> None:
    assert not check_address(read_address("https://hooks.slack.com/services/T/B/x"), SLACK).may_be_inside
    assert not check_address(read_address("https://discord.com/api/webhooks/1/x"), DISCORD).may_be_inside


@pytest.mark.parametrize("setting", ["a b", "ftp://x", "hooks.example.org/path", "*", "user@host", "x:0x", "*.*.x y"])
def test_list_that_names_no_host_is_a_bad_setting(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_WEBHOOK_HOSTS", setting)
    with pytest.raises(BadInput, match=r"not a host|names a host") as refused:
        Settings.read()
    assert (refused.value.code, refused.value.field) == ("bad_setting", "MEMGEN_WEBHOOK_HOSTS")


def test_password_of_the_mail_server_is_in_no_message_and_no_text_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEMGEN_SMTP_PASSWORD", "hunter2" * 200)
    with pytest.raises(BadInput) as refused:
        Settings.read()
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("MEMGEN_SMTP_PASSWORD", "hunter2")
    assert "hunter2" not in repr(Settings.read())
