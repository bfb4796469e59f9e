"""Access: who may ask for what.

admit.py      headers → who asks; what came of it → the audit log
keys.py       API keys, read again each second        oidc.py   tokens of an issuer
roles.py      may he? the one place that decides      attempts.py   credentials that did not hold
"""

from gnomon.serve.access.admit import Access, AccessSettings, read_access
from gnomon.serve.access.roles import Action, Denied, Policy, Principal, anybody

__all__ = [
    "Access",
    "AccessSettings",
    "Action",
    "Denied",
    "Policy",
    "Principal",
    "anybody",
    "read_access",
]
