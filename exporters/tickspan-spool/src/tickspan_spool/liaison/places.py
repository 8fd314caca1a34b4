"""AgentPlaces: which files the agent of one Python environment keeps in a spool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tickspan_spool.home import FORMAT_FOLDER, private_folder
from tickspan_spool.identity import environment_id


@dataclass(frozen=True, slots=True)
class AgentPlaces:
    """The files of one agent, `<spool>/v1/agents/<environment id>.*`.

    Attributes:
        directory: the spool.
        environment: the environment whose processes this agent serves.
    """

    directory: Path
    environment: str

    @classmethod
    def of(cls, directory: Path | str, environment: str | None = None) -> AgentPlaces:
        """The places in `directory`; for this interpreter's environment unless another is named."""
        return cls(Path(directory), environment or environment_id())

    @property
    def folder(self) -> Path:
        """Where all agents of the spool keep their files; those of other formats have theirs elsewhere."""
        return self.directory / FORMAT_FOLDER / "agents"

    @property
    def lock(self) -> Path:
        """Locked by the agent as long as it lives; holds its identity."""
        return self.folder / f"{self.environment}.lock"

    @property
    def launching(self) -> Path:
        """Locked by the process that starts an agent; its time of change is that of the last start."""
        return self.folder / f"{self.environment}.launching"

    @property
    def socket(self) -> Path:
        """Where the agent listens for commands."""
        return self.folder / f"{self.environment}.socket"

    @property
    def log(self) -> Path:
        """What the agent says; its standard streams."""
        return self.folder / f"{self.environment}.log"

    @property
    def status(self) -> Path:
        """The agent's state as JSON, for those who cannot ask it."""
        return self.folder / f"{self.environment}.status.json"

    def prepare(self) -> None:
        """Make the folder, for its owner alone. Raises OSError, also when it is not ours."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.directory, self.folder.parent, self.folder):
            private_folder(folder)
