"""The command ``clt``: run the notebooks, report what they found, check the machine, grade what students submit."""

import os
import shutil
import sys
import tempfile
import textwrap
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

import clt


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(clt.__version__, prog_name="clt")
def main() -> None:
    """Contrastive representation learning for language, built from scratch: the command of the course.

    \b
    Examples:
      clt doctor                                      can this machine run the course?
      clt run                                         run every lesson, in order
      clt run 03                                      run one of them
      clt run --parameters full --output build/full   run them at the size of the papers
      clt record 04                                   make the long run that a lesson's claims stand on
      clt report                                      set the records beside the papers'
      clt grade submissions                           check the exercises of submitted notebooks

    "clt COMMAND --help" explains a command.
    """


@main.command()
@click.argument("notebooks", nargs=-1, metavar="[LESSON]...")
@click.option(
    "--parameters", metavar="quick|full|FILE", default="quick", show_default=True, help="What the notebooks run with."
)
@click.option(
    "--output",
    metavar="FOLDER",
    default=Path("build/course"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the results go.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    help="How many run at a time.  [default: one for each core, as far as memory goes; 1 with other parameters]",
)
def run(notebooks: tuple[str, ...], parameters: str, output: Path, jobs: int | None) -> None:
    """Run notebooks from top to bottom, and keep what they print and show.

    LESSON is a notebook, or the number of a lesson: 04. Without one: every lesson of the course, in teaching order.
    Each one runs in a kernel of its own, in the folder it stands in, as in Jupyter. If one fails, the others still
    run. Ctrl-C stops the run and keeps what is done.

    The notebooks themselves stay as they are. The output folder gets

    \b
      index.html           the page to open: each notebook with its status, seconds and memory
      NAME.ipynb           each executed notebook
      NAME.html            the same as a page, which needs no network
      results/NAME.json    the numbers it measured (in the folder CLT_RESULTS instead, if that is set)
      timings.json         seconds and memory, for programs

    A second run into the same folder replaces the results of the notebooks it runs, and leaves the others.

    Parameters are the values in the cell of a notebook that is tagged "parameters":

    \b
      quick    as they stand there: a minute or so each on a laptop
      full     those in notebooks/parameters/full.yaml: the size of the papers, for a GPU
      FILE     a YAML or JSON file with values for all of them     epochs: 3
               or for each notebook by name                        01_triplet_loss: {epochs: 3}

    A name that a notebook does not have is an error before anything runs. When several run at a time, each gets its
    share of the cores (OMP_NUM_THREADS, unless you set it).

    \b
    Examples:
      clt run
      clt run 01 02
      clt run --parameters my.yaml notebooks/04_simcse.ipynb
      clt run --jobs 1 --output build/again

    \b
    Exit code:
      0      all passed
      1      at least one failed
      2      nothing was run, and the message says why
      130    stopped by Ctrl-C
    """
    from clt.command.doctor import kernel_problem
    from clt.command.pages import write_results
    from clt.command.plan import Refused, announcement, find_lessons, fitting_jobs, give_parameters
    from clt.command.runner import run_all
    from clt.command.screen import Board, echo_summary

    never_fail_to_print()
    lessons = find_lessons(notebooks)
    give_parameters(lessons, parameters)
    if any(lesson.path.parent == output.resolve() for lesson in lessons):
        raise Refused(f"--output {output} is where the notebooks are: they would be overwritten. Name another folder.")
    if problem := kernel_problem():
        raise Refused(f"{problem.what} {problem.do}")
    make_folder(output, "--output")

    jobs = jobs or (fitting_jobs(lessons) if parameters == "quick" else 1)
    click.echo(announcement(lessons, jobs, output))
    board = Board()
    interrupted = run_all(lessons, output.resolve(), jobs, board.show)
    board.show(lessons)
    write_results(lessons, output, Path(parameters).name)
    echo_summary(lessons, output)
    sys.exit(130 if interrupted else any(lesson.status == "failed" for lesson in lessons))


@main.command()
@click.argument("notebooks", nargs=-1, required=True, metavar="LESSON...")
@click.option("--jobs", metavar="N", default=1, show_default=True, type=click.IntRange(1), help="How many at a time.")
@click.option(
    "--store",
    metavar="FOLDER",
    default=Path("build/records"),
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where finished trials are kept.",
)
@click.option("--anew", is_flag=True, help="Forget the trials that an earlier run finished.")
def record(notebooks: tuple[str, ...], jobs: int, store: Path, anew: bool) -> None:
    """Make the record of a lesson: its long run, with several seeds, whose numbers the course stands on.

    LESSON is a notebook, or the number of a lesson: 04. It runs with the parameters in
    notebooks/parameters/record.yaml, without its cells tagged "show", and writes clt/recorded/NAME.json: every number
    that it measured, and what made it (parameters, versions, processor, seconds, SHA-256 of the encoder, the data sets
    and the code). That file is committed; notebooks, slides, site and report read it.

    It takes an hour or so on two cores. Each finished trial (a variant with a seed) is kept in the store: a record
    that was stopped goes on where it was, and only trials whose code, options or data have changed run again. Where
    --jobs is larger than the number of lessons, several kernels share the trials of a lesson.

    Public data sets are read from the folder that CLT_DATA names. If one that a record wants is missing, nothing runs.

    \b
    Examples:
      clt record 04
      clt record --jobs 2 notebooks/05_supcon.ipynb notebooks/06_label_aware.ipynb

    \b
    Exit code:
      0      the records are written
      1      at least one failed; the records of the others are written
      2      nothing was run, and the message says why
      130    stopped by Ctrl-C; the same command goes on from here
    """
    from clt import results
    from clt.command import record as records
    from clt.command.doctor import kernel_problem
    from clt.command.plan import Refused, find_lessons
    from clt.command.processes import usable_cores
    from clt.command.runner import run_all
    from clt.command.screen import Board
    from clt.results.files import write_json

    never_fail_to_print()
    lessons = find_lessons(notebooks)
    for lesson in lessons:
        lesson.parameters = records.wanted(lesson)
        if absent := records.absent_sets(records.effective(lesson)):
            raise Refused(
                f"the record of {lesson.name} wants {', '.join(absent)}, which CLT_DATA does not hold: set CLT_DATA to "
                "a folder that does."
            )
    if problem := kernel_problem():
        raise Refused(f"{problem.what} {problem.do}")
    store = store.resolve()
    make_folder(results.RECORDED, "the records' folder")
    make_folder(store / "runs", "--store")
    for lesson in lessons:
        lesson.leave_out = records.SHOW
        if anew:
            shutil.rmtree(store / lesson.name, ignore_errors=True)
        records.clear(store, lesson.name)
        lesson.note = partial(records.progress, store / lesson.name)
    workers = [
        replace(lesson, worker=number) for number in range(1, max(1, jobs // len(lessons)) + 1) for lesson in lessons
    ]
    for worker in workers:
        worker.environment = records.environment(store, worker)
    threads = int(os.environ.get("OMP_NUM_THREADS") or max(1, usable_cores() // jobs))
    board = Board()
    interrupted = run_all(workers, store / "runs", jobs, board.show)
    board.show(workers)
    lessons = workers[: len(lessons)]
    for lesson in lessons:
        if lesson.status == "passed":
            try:
                write_json(results.RECORDED / f"{lesson.name}.json", records.compose(lesson, store, threads))
            except (OSError, ValueError) as error:  # the records of the other lessons are written all the same
                lesson.status, lesson.problem = "failed", f"its end: {error}"
            else:
                click.echo(f"Wrote {results.RECORDED / lesson.name}.json")
        if lesson.problem:
            click.echo(f"{lesson.name} failed at {lesson.problem}")
    if interrupted:
        click.echo("Stopped by Ctrl-C. The same command goes on from here.")
    sys.exit(130 if interrupted else any(lesson.status != "passed" for lesson in lessons))


@main.command()
@click.option(
    "--output", metavar="FILE.md", type=click.Path(path_type=Path), help="Write it as Markdown instead of printing it."
)
def report(output: Path | None) -> None:
    """Set what the records of the lessons found beside what the papers report.

    Every published table that a lesson measures again, with the paper's numbers, ours from the record of that lesson
    (mean and standard deviation, where there are several seeds), and what differs in setting. A lesson without a record
    is named, and so is a number that its record lacks. Nothing is run now, and what "clt run" measured is not read.

    Records come with the course, in clt/recorded; "clt record" makes them.

    \b
    Examples:
      clt report
      clt report --output report.md

    \b
    Exit code:
      0      the report is there, and says at its end what is missing in it
      2      there is no report, and the message says why
    """
    from clt.command.plan import Refused
    from clt.command.report import as_markdown, as_text, collect, missing

    never_fail_to_print()
    try:
        sections = collect()
    except ValueError as error:
        raise Refused(f"{error}.") from error
    if output:
        try:
            output.write_text(as_markdown(sections), encoding="utf-8", newline="\n")
        except OSError as error:
            raise Refused(f"cannot write to --output {output}: {error.strerror}.") from error
        click.echo(f"Wrote {output}")
    else:
        click.echo(as_text(sections), nl=False)
    if absent := missing(sections):
        click.echo(f"\n{absent}")


@main.command()
@click.option("--online", is_flag=True, help="Also ask the Hugging Face hub whether it answers.")
def doctor(online: bool) -> None:
    """Check that this machine can run the course, and say what to do where it cannot.

    Looks at Python, the packages against the bounds of the course, the device and the memory, threads, the Jupyter
    kernel, the data that comes with the course (SHA-256), and where public data sets would come from. Opens no network
    connection unless --online is given.

    \b
    Examples:
      clt doctor
      clt doctor --online

    \b
    Exit code:
      0      the course runs here, perhaps with warnings
      1      something it needs is broken
    """
    from clt.command.doctor import examine
    from clt.command.screen import marked

    never_fail_to_print()
    levels, columns = [], min(100, shutil.get_terminal_size().columns)
    for finding in examine(online):
        levels.append(finding.level)
        text = f"{finding.what.rstrip('.')}. {finding.do}" if finding.do else finding.what
        line = f"{marked(finding.level):<10} {text}"
        click.echo(textwrap.fill(line, columns, subsequent_indent=" " * 11, break_on_hyphens=False))
    broken, warnings = levels.count("broken"), levels.count("warning")
    if broken:
        click.echo(f"\nThe course does not run here yet: {broken} broken, see above.")
    else:
        click.echo(f"\nThe course runs here{f', with {warnings} to be warned of' if warnings else ''}.")
    sys.exit(broken > 0)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="FILE",
    default=Path("grades.csv"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the table goes.",
)
@click.option(
    "--seconds",
    metavar="N",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long one exercise may compute; it may wait three times as long.",
)
@click.option(
    "--memory",
    metavar="GB",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How much memory a submission may take.",
)
def grade(folder: Path, output: Path, seconds: float, memory: float) -> None:
    """Check the exercises of every notebook in FOLDER and below, and write a table.

    Each notebook is judged in a process of its own. Of its cells runs what the checks need: what they are handed, and
    the imports, constants, functions and data that it is made of. Stored outputs do not count, and training that no
    exercise needs does not run. A right answer has its point wherever it stands. An endless loop, a crash or too much
    memory costs the exercise in which it happens, and nobody else.

    The table has a row for each notebook: name, status, points, and for each exercise points (1 or 0), status and
    diagnosis. The submitted code runs with your rights: grade in a container what you would not run yourself.

    \b
    Examples:
      clt grade submissions
      clt grade submissions --output week3.csv --seconds 20 --memory 1

    \b
    Exit code:
      0      the table is written, whatever the points
      2      nothing was graded, and the message says why
    """
    from clt.command.grade import Grader, find_notebooks, try_to_write, write_csv
    from clt.command.plan import Refused

    never_fail_to_print()
    if not folder.is_dir():
        raise Refused(f"{str(folder)!r} is not a folder.")
    paths = find_notebooks(folder)
    if not paths:
        raise Refused(f"there is no notebook in {str(folder)!r}.")
    try:
        try_to_write(output)
    except OSError as error:
        raise Refused(f"cannot write to --output {output}: {error.strerror}.") from error
    submissions = []
    with Grader(seconds, memory) as grader:
        for path in paths:
            done = grader.grade(path, path.relative_to(folder).with_suffix("").as_posix())
            submissions.append(done)
            points = f"{done.points} of {len(done.grades)}" if done.status == "graded" else done.status
            click.echo(f"{done.name}: {points}")
            write_csv(submissions, output)  # after each one: what is done stays, should the rest be stopped
    click.echo(f"Wrote {output}")


def never_fail_to_print() -> None:
    """Show "?" for a character that the terminal's encoding lacks: a notebook may have any name and raise any error."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream that is no text file takes any character
            stream.reconfigure(errors="replace")


def make_folder(folder: Path, what: str) -> None:
    """Make a folder and try that it can be written to: better now than when hours of work are to be kept."""
    from clt.command.plan import Refused

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise Refused(f"cannot write to {what} {folder}: {error.strerror}.") from error
