import numpy as np
import pytest

from recommendations.metrics.splits import cutoff_of_last_share


@pytest.mark.parametrize("times", [[1.0, np.nan], np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"), ["soon"]])
def test_an_event_without_a_time_is_refused(times):
    with pytest.raises(ValueError, match="every event needs a time"):
        cutoff_of_last_share(times, test_share=0.5)


def test_the_cutoff_leaves_about_the_asked_share_to_test():
    assert cutoff_of_last_share([5, 1, 4, 2, 3], test_share=0.4) == 4
    assert cutoff_of_last_share([7], test_share=0.5) == 7
    with pytest.raises(ValueError, match="no events"):
        cutoff_of_last_share([], test_share=0.5)
    with pytest.raises(ValueError, match="test_share"):
        cutoff_of_last_share([1], test_share=1)
