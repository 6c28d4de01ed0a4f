"""The public names of `samplers`; the package itself reads them here, and imports each when it is first touched."""

from .denoisers import DecodingSession as DecodingSession
from .denoisers import Denoiser as Denoiser
from .denoisers import SessionRequest as SessionRequest
from .denoisers import denoiser_for as denoiser_for
from .generation import generate as generate
from .generation import stream as stream
from .outputs import GenerationOutput as GenerationOutput
from .outputs import GenerationStep as GenerationStep
from .schedulers import *  # noqa: F403
from .streaming import partial_texts as partial_texts
