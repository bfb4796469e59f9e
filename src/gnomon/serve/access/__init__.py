"""Access: who may ask for what.

admit.py      headers → who asks; what came of it → the audit log
keys.py       API keys, read again each second        oidc.py   tokens of an issuer
roles.py      may he? the one place that decides      attempts.py   credentials that did not hold
    visible.py    which objects of the registry he sees
"""

from gnomon.serve.access.admit import Access, AccessSettings, read_access
from gnomon.serve.access.roles import Action, Denied, Policy, Principal, anybody
from gnomon.serve.access.visible import Visible

__all__ = [
    "Access",
    "AccessSettings",
    "Action",
    "Denied",
    "Policy",
    "Principal",
    "Visible",
    "anybody",
    "read_access",
]
