"""A part of the table of entities as the learner publishes it: signed with the key of the models, one key a part."""

from models.envelope import SealBroken, open_content, seal_content
from pipeline.core.entity_table import MAGIC, Bucket, pack, unpack
from pipeline.core.topics import MAX_RECORD_BYTES, Outgoing, table_key


def seal_part(part: Bucket, key: bytes) -> Outgoing:
    """``part`` as a record of ``control``."""
    return Outgoing(table_key(part.number), seal_content(MAGIC, pack(part), key))


def open_part(sealed: bytes, key: bytes) -> Bucket:
    """The part of the table in a record of ``control``. Raises SealBroken when it is not as a learner with this key wrote
    it."""
    content = open_content(MAGIC, sealed, key, MAX_RECORD_BYTES, "part of the table of entities")
    try:
        return unpack(content)
    except ValueError as error:
        raise SealBroken(f"signed part of the table of entities that is none: {error}") from error
