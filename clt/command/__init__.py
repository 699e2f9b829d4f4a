"""The command ``clt``: run, record, report, doctor and grade.

``clt run`` runs the notebooks, ``clt record`` makes the long run behind a lesson, ``clt report`` sets the records
beside the papers, ``clt doctor`` checks the machine, and ``clt grade`` checks what students submit.

:mod:`clt.command.cli` says what there is to type; each of the other modules does the work of one part of it.
"""
