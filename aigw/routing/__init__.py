"""Which target serves a request, and which one next: health, strategies, budgets, and the order of attempts.

Owns every decision, none of the doing: it calls no provider and sleeps for nobody, and clock and chance are
given to it, so that an hour of outage is a test of milliseconds.
"""
