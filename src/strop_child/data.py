"""The data worker: reads what the user has once, checks it, and writes memory-mapped `.npy` shards.

Runs in a child like a backend's work module; needs numpy. These are its verbs, a module
each: arrays, items, generated inputs, a division in two, what two sets share, the user's scorer, questions, chat templates, token
ids and their texts.
"""

from strop_child.chat import read_chat, try_chat
from strop_child.division import overlap, split
from strop_child.generated import generate
from strop_child.items import prepare_items
from strop_child.matched import prepare
from strop_child.questions import prepare_questions
from strop_child.scorer import load_code, score
from strop_child.texts import decode_tokens, prepare_tokens
from strop_child.tokenizer_folder import end_tokens

__all__ = [
    "decode_tokens", "end_tokens", "generate", "load_code", "overlap", "prepare", "prepare_items", "prepare_questions",
    "prepare_tokens", "read_chat", "score", "split", "try_chat",
]  # fmt: skip
