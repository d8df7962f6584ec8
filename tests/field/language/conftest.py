"""The child's files importable as in a child."""

import sys

from strop.worker.call import CHILD

sys.path += [path for path in (str(CHILD.parent), str(CHILD.parent / "inspector")) if path not in sys.path]
