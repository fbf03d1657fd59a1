"""Forecasts for a fleet of customers: what is fitted, and what travels into the containers that fit and serve it."""

from .series import Forecast as Forecast
from .series import Forecaster as Forecaster
from .series import Parameters as Parameters
from .series import Series as Series
from .series import Unfit as Unfit
from .series import forecaster_from as forecaster_from
