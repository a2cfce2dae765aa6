"""The one catalogue of queries that boards, pages and reports share: name, InfluxQL, unit, columns, meaning.

Queries are written with Grafana's macros and variables (`$timeFilter`, `$__interval`, `$hamlet`, ...); a board takes
the text as it stands, everyone else calls `bind`, or asks the ledger by `collector.catalogue.ledger`.
InfluxQL only, and only what 1.6 to 3 understand alike: no MODE, no INTEGRAL, no SLIMIT. Percentiles are nearest-rank
(`percentile()`, never `median()`), so that a value that was really measured is shown, and pages that compute it
from the ledger get the same number.
Source: design §7, §8; facts note 06 §3.
"""

from collections.abc import Mapping

from collector.catalogue import campaign, fleet, hamlet, units
from collector.catalogue.binding import CHAIN as CHAIN
from collector.catalogue.binding import VARIABLES as VARIABLES
from collector.catalogue.binding import Scope as Scope
from collector.catalogue.binding import bind as bind
from collector.catalogue.binding import variable as variable
from collector.catalogue.parts import REGISTER_WINDOW as REGISTER_WINDOW
from collector.catalogue.parts import TIME_ZONE as TIME_ZONE
from collector.catalogue.parts import Column as Column
from collector.catalogue.parts import Query as Query
from collector.catalogue.parts import Shape as Shape
from collector.catalogue.parts import Unit as Unit
from collector.core.rollup_points import MARKS_BPS as MARKS_BPS
from collector.core.view_figures import N_MIN as N_MIN

ALL: tuple[Query, ...] = (*hamlet.ALL, *units.ALL, *fleet.ALL, *campaign.ALL)
QUERIES: Mapping[str, Query] = {query.name: query for query in ALL}
