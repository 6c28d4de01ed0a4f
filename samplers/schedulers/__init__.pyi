"""The one list of schedulers, in the order in which tables have them; a new one is a line at the end.

The short name of a class is that of its file, without `scheduling_`: `from .scheduling_eb import EBScheduler` makes
`eb`. The package reads this file (`registry.py`), and so do type checkers.
"""

# isort: off
from .registry import built_in_scheduler_names as built_in_scheduler_names
from .registry import protocol_scheduler_names as protocol_scheduler_names
from .registry import register_scheduler as register_scheduler
from .registry import scheduler_class as scheduler_class
from .registry import scheduler_names as scheduler_names
from .scheduling_utils import UnmaskingScheduler as UnmaskingScheduler
from .scheduling_utils import UnmaskingSchedulerOutput as UnmaskingSchedulerOutput
from .scheduling_quota import QuotaScheduler as QuotaScheduler
from .proposals import RecordedProposal as RecordedProposal
from .views import ModelView as ModelView
from .views import Annealing as Annealing
from .views import Wants as Wants

# The nine of the published protocol (arXiv 2510.04767).
from .scheduling_random import RandomScheduler as RandomScheduler
from .scheduling_left_to_right import LeftToRightScheduler as LeftToRightScheduler
from .scheduling_confidence import ConfidenceScheduler as ConfidenceScheduler
from .scheduling_margin import MarginScheduler as MarginScheduler
from .scheduling_entropy import EntropyScheduler as EntropyScheduler
from .scheduling_threshold import ThresholdScheduler as ThresholdScheduler
from .scheduling_factor import FactorScheduler as FactorScheduler
from .scheduling_rcr import RCRScheduler as RCRScheduler
from .scheduling_remdm import ReMDMScheduler as ReMDMScheduler

# All others.
from .scheduling_quota_threshold import QuotaThresholdScheduler as QuotaThresholdScheduler
from .scheduling_editing import EditingScheduler as EditingScheduler
from .scheduling_hierarchy import HierarchyScheduler as HierarchyScheduler
from .scheduling_eb import EBScheduler as EBScheduler
from .scheduling_klass import KLASSScheduler as KLASSScheduler
from .scheduling_position_calibrated import PositionCalibratedScheduler as PositionCalibratedScheduler
from .scheduling_dilated import DilatedScheduler as DilatedScheduler
from .scheduling_slow_fast import SlowFastScheduler as SlowFastScheduler
from .scheduling_saber import SaberScheduler as SaberScheduler
from .scheduling_wino import WINOScheduler as WINOScheduler
from .scheduling_credit import CreditScheduler as CreditScheduler
from .scheduling_prophet import ProphetScheduler as ProphetScheduler
from .scheduling_ascending import AscendingScheduler as AscendingScheduler
from .scheduling_verified import VerifiedScheduler as VerifiedScheduler
from .scheduling_frechet import FrechetScheduler as FrechetScheduler
from .scheduling_local_leap import LocalLeapScheduler as LocalLeapScheduler
from .scheduling_lopa import LoPAScheduler as LoPAScheduler
from .scheduling_dapd import DAPDScheduler as DAPDScheduler
from .scheduling_dawn import DAWNScheduler as DAWNScheduler

# No method of the list: it is a model's own, and may end a step with nothing committed.
from .renoising import RenoisingScheduler as RenoisingScheduler
