"""The command ``clt``: run the notebooks, keep long runs as records, report, check the machine, grade submissions.

:mod:`clt.command.cli` says what there is to type; each of the other modules does the work of one part of it.
"""
