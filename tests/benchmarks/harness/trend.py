"""Arithmetic of curves: how steep, how sure, and how they look. Pure."""

import math
import statistics

BLOCKS = 10
BARS = "▁▂▃▄▅▆▇█"


def slope_of(points):
    """Return (slope, its standard error) of (x, y) by least squares; the error is infinite for two points."""
    xs, ys = zip(*points, strict=True)
    middle_x, middle_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    if not spread:
        return 0.0, math.inf
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    if len(points) < 3:
        return slope, math.inf
    left = sum((y - middle_y - slope * (x - middle_x)) ** 2 for x, y in points)
    return slope, math.sqrt(left / (len(points) - 2) / spread)


def rising(points):
    """Return (slope, standard error) of a curve whose neighbours are alike.

    Samples that follow one another are no independent ones, so the error of all of them would be too
    small: the means of ten parts stand for them.
    """
    size = max(1, len(points) // BLOCKS)
    parts = [points[start : start + size] for start in range(0, len(points) - size + 1, size)]
    return slope_of([tuple(map(statistics.fmean, zip(*part, strict=True))) for part in parts])


def exponent(points):
    """Return b of y = a * x^b, by least squares on the logarithms of (x, y)."""
    return slope_of([(math.log(x), math.log(y)) for x, y in points])[0]


def sparkline(values, width=60):
    """Return a curve of at most `width` characters, from the least value to the highest."""
    size = max(1, math.ceil(len(values) / width))
    means = [statistics.fmean(values[start : start + size]) for start in range(0, len(values), size)]
    least, most = min(means), max(means)
    height = (most - least) or 1.0
    return "".join(BARS[round((value - least) / height * (len(BARS) - 1))] for value in means)
