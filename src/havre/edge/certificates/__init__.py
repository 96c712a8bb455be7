"""Certificates: the internal authority, what people upload, what certificate authorities give, and who shows what."""
