"""``python -m clt.data``: write the checksums of ``data/`` after a change to it."""

from clt.data import write_checksums

if __name__ == "__main__":
    print("wrote", write_checksums().name)
