"""`Target`: the device a model is optimised for. In this release always the machine Strop runs on."""

from strop.core.noun import Noun


class Target(Noun):
    """CPU, its budget of cores, and memory.

    `threads` is the budget: the smaller of the CPU affinity, the container's quota and what the user allowed.
    `host` identifies the machine; a timing is never reused on another.
    """

    host: str
    os: str
    kernel: str
    machine: str
    cpu: str
    cpu_flags: tuple[str, ...]
    cores: int
    threads: int
    memory_bytes: int
    python: str

    def has(self, *flags: str) -> bool:
        """Whether the CPU reports every one of these flags."""
        return all(flag in self.cpu_flags for flag in flags)
