"""Those who look at a chip over a gateway: status, registers, updates, which come unasked; and leases of those who operate it."""

from __future__ import annotations

import pytest

import tsu_driver as tsu
from gateway.harness import site
from tsu_contract.errors import Code


def test_observer_and_leases_over_a_gateway() -> None:
    with site() as here:
        with tsu.observe(here.url("eve"), timeout_s=20) as observer:
            assert observer.read_register("SYS.ID.MAGIC") == 0x7550
            numbers = []
            for update in observer.updates(every_s=0.1):
                numbers.append(update.number)
                if len(numbers) == 12:
                    break
            assert numbers == list(range(1, 13))
            with tsu.open(here.url("ann"), timeout_s=20) as ann, tsu.open(here.url("bob"), timeout_s=20) as bob:
                with ann.lease(seconds=30):
                    assert "ann" in observer.status()["lease"]["client"]
                    with pytest.raises(tsu.LinkError, match="ann") as caught:
                        bob.read_register("SYS.ID")
                    assert caught.value.code is Code.LEASED
                bob.read_register("SYS.ID")
        assert tsu.status(here.url("eve"), timeout_s=20)["sessions"]["subscribers"] == 0
