"""Proxies in the words of Java, which does not read the variables that everybody else reads."""

from __future__ import annotations

from havre.drivers import wayout
from havre.drivers.wayout import jvm

OPTIONS = "JAVA_TOOL_OPTIONS"


def test_a_program_of_the_java_family_is_told_of_the_proxy_before_its_own_options() -> None:
    env = wayout.environment(wayout.by_proxy("no other")) | {OPTIONS: "-Xmx1g"}
    told = jvm.told(env)[OPTIONS].split()
    assert told[-1] == "-Xmx1g"
    assert {"-Dhttp.proxyHost=127.0.0.1", "-Dhttps.proxyHost=127.0.0.1", "-Dhttps.proxyPort=3128"} <= set(told)
    assert "-Dhttp.nonProxyHosts=localhost|127.0.0.1|::1" in told


def test_whoever_has_no_options_of_java_and_whoever_has_no_proxy_is_left_alone() -> None:
    assert jvm.told({"HTTPS_PROXY": "http://proxy.example.test:8080"}) == {
        "HTTPS_PROXY": "http://proxy.example.test:8080"
    }
    assert jvm.told({OPTIONS: "-Xmx1g"}) == {OPTIONS: "-Xmx1g"}


def test_a_proxy_may_ask_who_is_there_and_domains_may_be_left_out() -> None:
    env = {OPTIONS: "", "https_proxy": "http://user:word@proxy.example.test:8080/", "NO_PROXY": ".internal, db"}
    told = jvm.told(env)[OPTIONS].split()
    assert "-Dhttps.proxyHost=proxy.example.test" in told and "-Dhttps.proxyPort=8080" in told
    assert "-Dhttp.nonProxyHosts=*.internal|db" in told
    assert "word" not in " ".join(told)
