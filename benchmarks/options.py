"""What the command line asked for, handed to every benchmark."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks import results


@dataclass(frozen=True)
class Given:
    """A model and its data: .npz files, or folders of .npy; `mapping` is input → array, `labels` an array's name."""

    model: Path
    data: Path
    calibration: Path
    mapping: tuple[str, ...] = ()
    labels: str = "labels"

    @property
    def name(self) -> str:
        """The file's name, or its folder's where the file is called model.onnx like everybody's."""
        return self.model.stem if self.model.stem != "model" else self.model.absolute().parent.name


@dataclass(frozen=True)
class Options:
    """smoke: tiny sizes, to see that it works; its results go into the scratch folder. arguments: as typed, less the names."""

    given: Given
    smoke: bool
    arguments: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return results.SCRATCH / "smoke" if self.smoke else results.RESULTS

    def write(self, name: str, figures: results.Figures, complete: bool = True) -> None:
        results.write(name, results.command_of(name, list(self.arguments)), figures, self.folder, complete)
