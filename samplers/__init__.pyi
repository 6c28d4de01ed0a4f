"""The public names of `samplers`; the package itself reads them here, and imports each when it is first touched."""

from .denoisers import DecodingSession as DecodingSession
from .denoisers import Denoiser as Denoiser
from .denoisers import SessionRequest as SessionRequest
from .denoisers import StateReader as StateReader
from .denoisers import denoiser_for as denoiser_for
from .loop.decoding import Decoding as Decoding
from .loop.generation import generate as generate
from .loop.generation import stream as stream
from .loop.inputs import GenerationArguments as GenerationArguments
from .loop.outputs import GenerationOutput as GenerationOutput
from .loop.outputs import GenerationStep as GenerationStep
from .loop.outputs import Look as Look
from .loop.streaming import partial_texts as partial_texts
from .schedulers import *  # noqa: F403
