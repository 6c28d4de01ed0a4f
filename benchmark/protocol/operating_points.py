"""Operating points: ways to answer that have no scheduler, each under a name that a method can have in its place.

An autoregressive model, or a service behind an address, has nothing of ours that decides which tokens to commit. It is
run at one point, which goes through grids, results and reports as any other method does: `autoregressive()`, or
`served()` with what its server lets one set (`served(reasoning_effort=low)`). Nobody asks for a class of that name.
"""

from __future__ import annotations

#: One token per forward pass, from left to right.
AUTOREGRESSIVE = "autoregressive"
#: As a server decodes by itself; every parameter is a field of its requests.
SERVED = "served"
OPERATING_POINTS = (AUTOREGRESSIVE, SERVED)

#: What the names of autoregressive models in process begin with, and those of services.
IN_PROCESS, SERVICE = "ar:", "api:"
#: What names of models begin with that have operating points in place of schedulers → those that they can be run at,
#: first the one where nobody names any. A service can be said to be autoregressive, which its answers do not tell.
POINTS_OF_MODELS = {IN_PROCESS: (AUTOREGRESSIVE,), SERVICE: (SERVED, AUTOREGRESSIVE)}


def points_of(model: str) -> tuple[str, ...]:
    """The operating points of the model of this name; none for one that decodes with schedulers."""
    return next((points for prefix, points in POINTS_OF_MODELS.items() if model.startswith(prefix)), ())
