"""The data worker: reads what the user has once, checks it, and writes memory-mapped `.npy` shards.

Runs in a child like a backend's work module; needs numpy. These are its verbs, a module
each: arrays, items, generated inputs, a division in two, what two sets share, the user's scorer, questions, chat templates, token
ids and their texts.
"""

from chat import read_chat, try_chat
from division import overlap, split
from generated import generate
from items import prepare_items
from matched import prepare
from questions import prepare_questions
from scorer import load_code, score
from texts import decode_tokens, prepare_tokens
from tokenizer_folder import end_tokens

__all__ = [
    "decode_tokens", "end_tokens", "generate", "load_code", "overlap", "prepare", "prepare_items", "prepare_questions",
    "prepare_tokens", "read_chat", "score", "split", "try_chat",
]  # fmt: skip
