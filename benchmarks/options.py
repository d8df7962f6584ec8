"""What the command line asked for, handed to every benchmark."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks import results


@dataclass(frozen=True)
class Given:
    """A model and its data: .npz files, or folders of .npy; `mapping` is input → array, `labels` an array's name.

    source, config: what `strop optimize` is given instead of model and arrays, and the strop.toml that names its data.
    """

    model: Path
    data: Path
    calibration: Path
    mapping: tuple[str, ...] = ()
    labels: str = "labels"
    metric: str = "top1"
    source: Path | None = None
    config: Path | None = None

    @property
    def name(self) -> str:
        """The file's name, or its folder's where the file is called model.onnx like everybody's."""
        return self.model.stem if self.model.stem != "model" else self.model.absolute().parent.name


@dataclass(frozen=True)
class Options:
    """smoke: tiny sizes, to see that it works; its results go into the scratch folder. arguments: as typed, less the names.

    repeats: of a race, where not its own default.
    """

    given: Given
    smoke: bool
    arguments: tuple[str, ...]
    repeats: int | None = None

    @property
    def folder(self) -> Path:
        return self.folder_of(self.smoke)

    @staticmethod
    def folder_of(smoke: bool) -> Path:
        """Where results go."""
        return results.SCRATCH / "smoke" if smoke else results.RESULTS

    def write(self, name: str, figures: results.Figures, complete: bool = True) -> None:
        results.write(name, results.command_of(name, list(self.arguments)), figures, self.folder, complete)
