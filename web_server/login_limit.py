"""How often somebody may try to log in. Only wrong passwords count in the end."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from web_server.errors import TooManyTries, WebError

WINDOW_S = 300.0
OF_ACCOUNT_AND_ADDRESS = 5
"""A person who has forgotten the password; a stranger elsewhere does not lock them out."""
OF_ACCOUNT = 50
"""From many addresses together: 600 guesses an hour."""
OF_ADDRESS = 50
"""A class behind one address, where each mistypes once."""

MAX_KEPT = 10_000
"""Of each kind; some 2 MB. The oldest are forgotten first."""


@dataclass(slots=True)
class _Tries:
    since_s: float
    count: int = 0


class _Counter:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """0: there are tries left."""
        tries = self._tries.get(key)
        if tries is None or tries.count < self.limit:
            return 0.0
        return max(0.0, tries.since_s + WINDOW_S - now_s)

    def add(self, key: str, now_s: float) -> None:
        tries = self._tries.pop(key, None)
        if tries is None or now_s - tries.since_s >= WINDOW_S:
            tries = _Tries(now_s)
        tries.count += 1
        self._tries[key] = tries
        while len(self._tries) > MAX_KEPT:
            self._tries.popitem(last=False)

    def take_back(self, key: str) -> None:
        tries = self._tries.get(key)
        if tries is not None and tries.count > 0:
            tries.count -= 1


_Counted = tuple[_Counter, str]
"""And the key in it."""


class LoginLimit:
    """Of this process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._both = _Counter(OF_ACCOUNT_AND_ADDRESS)
        self._account = _Counter(OF_ACCOUNT)
        self._address = _Counter(OF_ADDRESS)

    @contextmanager
    def trying(self, email: str, address: str, wrong: type[WebError]) -> Iterator[None]:
        """Around the look at a password, which raises `wrong` when it does not fit; whatever else
        happens is no guess. While it is looked at it counts for the account, so that many at the
        same time are no way around; for the address only what was wrong, since a class behind it
        may log in within a minute, and how many are looked at together is bounded elsewhere
        (`Passwords`). Raises `TooManyTries`."""
        self._begin(email, address)
        guessed = False
        try:
            yield
        except wrong:
            guessed = True
            raise
        finally:
            self._end(email, address, guessed=guessed)

    def _begin(self, email: str, address: str) -> None:
        now_s = self._clock()
        of_account, of_address = self._counted(email, address)
        wait_s = max(counter.wait_s(key, now_s) for counter, key in (*of_account, of_address))
        if wait_s > 0:
            raise TooManyTries(math.ceil(wait_s))
        for counter, key in of_account:
            counter.add(key, now_s)

    def _end(self, email: str, address: str, *, guessed: bool) -> None:
        of_account, (counter, key) = self._counted(email, address)
        if guessed:
            counter.add(key, self._clock())
            return
        for counter, key in of_account:
            counter.take_back(key)

    def _counted(self, email: str, address: str) -> tuple[tuple[_Counted, _Counted], _Counted]:
        """Those of the account, and that of the address."""
        network = network_of(address)
        own = ((self._both, f"{email} {network}"), (self._account, email))
        return own, (self._address, network)


def network_of(address: str) -> str:
    """Of IPv6 the first 64 bits: whoever has one such address has them all."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip_address(int(ip) >> 64 << 64))
