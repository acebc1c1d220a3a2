"""What one process of the service holds: settings, store, ledger, hints, and the sweeper that ties the last two.

The API process, each worker process and the embedded service build one of these. Loads neither torch nor spacy.
"""

from __future__ import annotations

from types import TracebackType

from core.settings import Settings
from ledger import Ledger
from shards.store import Store, open_store
from workers.hints import CeleryHints, Hints, LocalHints
from workers.sweeper import Sweeper


class Service:
    """Opens the store and the ledger, and brings the ledger's schema up to date.

    Raises LedgerError, StorageError or SettingError.
    """

    def __init__(self, settings: Settings, hints: Hints | None = None) -> None:
        self.settings = settings
        self.store: Store = open_store(settings.data)
        if settings.data_folder is not None:
            settings.data_folder.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(settings.ledger_url)
        self.ledger.create()
        self.hints: Hints = hints if hints is not None else CeleryHints(settings.broker)
        self.sweeper = Sweeper(self.ledger, self.hints, settings)

    @classmethod
    def embedded(cls, settings: Settings) -> Service:
        """A service whose hints stay inside the process: no Redis."""
        return cls(settings, LocalHints())

    def wake(self) -> None:
        """Says that new work is in the ledger: the sweeper sends hints for it at once. Never blocks, never raises."""
        self.sweeper.wake()

    def close(self) -> None:
        self.sweeper.stop()
        self.hints.close()
        self.ledger.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
