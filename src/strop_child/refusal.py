"""How a model is refused: one line, and what to do next. Apart from any reader, so that none is imported for it."""


class ModelError(Exception):
    """The model is refused; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
