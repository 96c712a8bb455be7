"""The driver of Internet routing registries: questions in the IRRd protocol and in RIPE's whois, and RPSL as text."""
