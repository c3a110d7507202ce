from aigw.hooks.table import Hook
from aigw.relay.watchers import Watchers


def test_a_watcher_that_fails_is_asked_no_more_and_hurts_nobody():
    seen, failures = [], []

    def fail(frames):
        failures.append(frames)
        raise ZeroDivisionError

    watchers = Watchers(
        [(Hook("bad", "watch_stream", fail), fail), (Hook("good", "watch_stream", fail), seen.append)]
    )
    watchers.see(b"a")
    watchers.see(b"b")
    assert seen == [b"a", b"b"]
    assert failures == [b"a"]
