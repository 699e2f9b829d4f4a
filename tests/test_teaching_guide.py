"""The teaching guide names what is there, its timetables add up, and its answers are what the package computes."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from clt import checks, losses, metrics
from clt.checks import _EXERCISES as EXERCISES

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "slides" / "README.md").read_text(encoding="utf-8")
LESSONS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
DECKS = {path.stem[1]: path for path in sorted((ROOT / "slides").glob("[0-9][0-9]-*.md"))}
KINDS = {"choice", "calculation", "what if", "figure"}


def section(heading: str, text: str = GUIDE) -> str:
    level = heading.split(" ")[0]
    return re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.M | re.S)[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def quiz() -> list[dict]:
    found = []
    for lesson, text in re.findall(r"^### Lesson (\d\d) · (.*?)(?=^### |\Z)", section("## Quiz bank"), re.M | re.S):
        for part in re.split(r"(?=^\*\*Q\d+\*\*)", text, flags=re.M)[1:]:
            number, kind, asked = re.match(r"\*\*Q(\d+)\*\* · ([a-z ]+)\. (.*)", part, re.S).groups()
            question, _, folded = asked.partition("<details><summary>Answer</summary>")
            answer = folded.partition("</details>")[0].strip()
            found.append({"number": int(number), "lesson": lesson, "kind": kind, "question": question.strip(),
                          "answer": answer})  # fmt: skip
    return found


QUIZ = quiz()


def computed(answer: str) -> list[tuple[str, str]]:
    """Each expression an answer gives to compute, and the number printed behind it."""
    return re.findall(r"`([^`]+)` = (-?\d+(?:\.\d+)?)", answer.partition("*Compute it:*")[2])


def value(expression: str) -> float:
    t = lambda x: torch.tensor(x, dtype=torch.float64)
    names = {"losses": losses, "metrics": metrics, "torch": torch, "math": math, "t": t, "sum": sum}
    return float(eval(expression, {"__builtins__": {}}, names))


def test_six_questions_a_lesson():
    assert [question["number"] for question in QUIZ] == list(range(1, 6 * len(LESSONS) + 1))
    assert [question["lesson"] for question in QUIZ] == [lesson for lesson in LESSONS for _ in range(6)]
    for lesson in LESSONS:
        assert {question["kind"] for question in QUIZ if question["lesson"] == lesson} == KINDS, lesson
    assert section("## Quiz bank").count("</details>") == len(QUIZ), "nothing is folded but answers"


@pytest.mark.parametrize("question", QUIZ, ids=lambda question: f"Q{question['number']}")
def test_answer(question):
    answer = question["answer"]
    assert len(question["question"].split()) >= 8
    verdict = re.match(r"\*\*(.+?)\*\*\s+\w+", answer)
    assert verdict, "the answer in bold, then why"
    if question["kind"] == "choice":
        options = re.findall(r"^- \(([a-d])\) \S", question["question"], re.M)
        assert options == list("abcd")
        assert verdict[1].strip("().") in options
    if question["kind"] == "calculation":
        assert computed(answer), "a calculation can be computed"
    for expression, printed in computed(answer):
        digits = len(printed.partition(".")[2])
        found = value(expression)
        assert found == pytest.approx(float(printed), abs=0.51 * 10**-digits), f"{expression} is {found}"
        if question["kind"] == "calculation":
            said = answer.partition("*Compute it:*")[0].replace("−", "-")
            assert printed.lstrip("-") in said, f"the answer does not say {printed}"


def test_the_queue_of_the_quiz_is_the_packages():
    queue = losses.HippocampusQueue(3, decay=0.5)
    for _ in range(4):
        queue.push(torch.randn(2, 3))
    (answer,) = (question["answer"] for question in QUIZ if "hippocampus" in question["question"])
    assert queue.weights.sum().item() == float(computed(answer)[0][1])


def test_a_wrong_answer_is_found():
    wrong = "**1.5.** So it is. *Compute it:* `losses.triplet_loss(t([[0]]), t([[1]]), t([[1]]))` = 1.5"
    question = {"number": 0, "kind": "calculation", "question": "word " * 8, "answer": wrong}
    with pytest.raises(AssertionError, match=r"is 1\.0"):
        test_answer(question)


def test_decks_and_lessons_exist():
    for number, name in re.findall(r"^\| (\d) · `([\w-]+\.md)` \|", GUIDE, re.M):
        assert DECKS[number].name == name
    assert len(re.findall(r"^\| \d · `", GUIDE, re.M)) == len(DECKS)
    for number in re.findall(r"\bdeck (\d)\b", GUIDE):
        assert number in DECKS, f"deck {number}"
    named = re.findall(r"\blessons? ((?:\d\d)(?:(?:, | and | to )\d\d)*)", GUIDE, re.I)
    for number in re.findall(r"\d\d", " ".join(named)):
        assert number in LESSONS, f"lesson {number}"
    assert re.findall(r"^\| (\d\d) · `(\w+\.ipynb)` \|", GUIDE, re.M) == [(n, p.name) for n, p in LESSONS.items()]


def test_commands_and_files_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", GUIDE, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"
    from clt.command.cli import main

    for command in re.findall(r"(?:`|bin/)clt ([a-z]+)", GUIDE):
        assert command in main.commands, f"clt {command}"
    for link in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (ROOT / "slides" / link).exists(), link
    for path in re.findall(r"`((?:tools|notebooks|slides|clt)/[\w/.-]+)`", GUIDE):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"NB=(\S+\.ipynb)", GUIDE):
        assert (ROOT / path).exists(), path


def test_exercises_and_their_minutes_are_those_of_the_lessons():
    table = {row[0][:2]: row for row in rows(section("# Teaching guide")) if re.match(r"\d\d · ", row[0])}
    assert sorted(table) == sorted(LESSONS)
    for number, path in LESSONS.items():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        stubs = ["".join(c["source"]) for c in cells if "exercise" in c["metadata"].get("tags", [])]
        exercises = [re.search(r"checks\.(\w+)\(", stub)[1] for stub in stubs]
        minutes = sum(map(int, re.findall(r"\*\*Exercise \d\*\* · \w+ · (\d+) minutes", text)))
        assert re.findall(r"`(\w+)`", table[number][1]) == exercises, number
        assert int(table[number][2]) == minutes, number


@pytest.mark.parametrize("deck", "5678")
def test_the_meetings_of_a_deck_take_its_minutes_once(deck):
    part = next(text for text in re.split("^### ", GUIDE, flags=re.M) if text.startswith(("Two more", "Three more"))
                and f"| deck {deck} |" in text)  # fmt: skip
    table = rows(part)
    spent = {meeting: sum(int(row[1]) for row in table if row[0] == meeting) for meeting, *_ in table}
    assert set(spent.values()) == {60}
    assert int(re.search(r"Total: (\d+) minutes", part)[1]) == 60 * len(spent)
    clock = 0
    for row in table:
        if row[3] == f"deck {deck}":
            start, end = map(int, re.search(r"\(0:(\d\d)–0:(\d\d)\)", row[2]).groups())
            assert (start, end) == (clock, clock + int(row[1])), row[2]
            clock = end
    assert clock == 45


def test_each_lesson_has_its_goal_its_misconception_and_what_to_ask_and_skip():
    told = re.findall(r"^- \*\*(\d\d) · (.*)", section("## Lesson by lesson"), re.M)
    assert [number for number, _ in told] == list(LESSONS)
    for number, text in told:
        assert re.findall(r"\*(Goal|Expect|Ask|Skip):\*", text) == ["Goal", "Expect", "Ask", "Skip"], number
        cells = json.loads(LESSONS[number].read_text(encoding="utf-8"))["cells"]
        lesson = "\n".join("".join(cell["source"]) for cell in cells)
        (exercise,) = re.findall(r"`(\w+)`", text)
        assert f"checks.{exercise}(" in lesson, number
        skipped = text.partition("*Skip:*")[2]
        for heading in re.findall(r"\*([^*]+)\*", skipped):
            assert re.search(rf"(?m)^#+ {re.escape(heading)}$", lesson), f"{number}: {heading}"
        for exercise in re.findall(r"exercises? (\d)", skipped):
            assert f"**Exercise {exercise}**" in lesson, f"{number}: exercise {exercise}"


@pytest.mark.parametrize(
    ("heading", "column"),
    [("### A lecture of 90 minutes", 0), ("### A workshop of one day", 0), ("### A course of six weeks", 1)],
)
def test_timetables_add_up(heading, column):
    text = section(heading)
    table = rows(text)
    total = sum(int(row[column]) for row in table)
    assert int(re.search(r"Total: (\d+) minutes", text)[1]) == total
    if column:
        weeks = {row[0] for row in table}
        assert weeks == set("123456")
        assert {sum(int(r[1]) for r in table if r[0] == week) for week in weeks} == {total / 6} == {120}
    else:
        assert total in (90, 480)
    used = re.findall(r"deck (\d)", " ".join(row[-1] for row in table))
    assert set(used) <= set(DECKS)


def test_a_semester_takes_each_lesson_once_and_in_order():
    table = rows(section("### A semester of fourteen weeks"))
    assert [row[0] for row in table] == [str(week) for week in range(1, 15)]
    taken = [row[2] for row in table if row[2] != "–"]
    assert taken == sorted(set(taken))
    assert set(taken) <= set(LESSONS)
    assert {number for row in table for number in re.findall(r"deck (\d)", row[1])} <= set(DECKS)


EXAMS = (ROOT / "slides" / "exams.md").read_text(encoding="utf-8")
ASKED = re.findall(r"^\*\*([AB]\d)\*\* · (\d+) points\. (.*?)^</details>", EXAMS, re.M | re.S)


def test_the_points_of_an_exam_add_up():
    for part in re.split(r"^## ", EXAMS, flags=re.M)[1:]:
        wanted = int(re.search(r"\*\*\d+ minutes, (\d+) points\.\*\*", part)[1])
        letter = re.search(r"^\*\*([AB])1", part, re.M)[1]
        assert sum(int(points) for name, points, _ in ASKED if name[0] == letter) == wanted
        numbers = [int(name[1:]) for name, _, _ in ASKED if name[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[0])
def test_the_answers_of_an_exam_are_what_the_package_computes(asked):
    question, _, answer = asked[2].partition("<details><summary>Answer</summary>")
    assert len(question.split()) >= 15
    assert len(answer.split()) >= 25, "an answer gives its reasons"
    said = answer.partition("*Compute it:*")[0].replace("−", "-")
    for expression, printed in computed(answer):
        digits = len(printed.partition(".")[2])
        assert value(expression) == pytest.approx(float(printed), abs=0.51 * 10**-digits), expression
        assert printed.rstrip("0").rstrip(".") in said, f"{asked[0]} does not say {printed}"


def said(row: list[str]) -> tuple[str, str]:
    """The exercise and the diagnosis of a row of misconceptions."""
    return re.fullmatch(r"`(\w+)`", row[1])[1], row[2]


MISCONCEPTIONS = rows(section("## What students get wrong"))


def test_every_exercise_has_its_misconception():
    named = {said(row)[0] for row in MISCONCEPTIONS}
    assert named == set(EXERCISES), named ^ set(EXERCISES)
    assert len({row[2] for row in MISCONCEPTIONS}) == len(MISCONCEPTIONS)
    for name in named:
        assert hasattr(checks, name)


@pytest.mark.parametrize("row", MISCONCEPTIONS, ids=lambda row: f"{row[1].strip('`')}: {row[2][:40]}")
def test_the_check_says_it_word_for_word(row):
    name, diagnosis = said(row)
    exercise = EXERCISES[name]
    found = [mistake for mistake in exercise.mistakes if mistake.diagnosis == diagnosis]
    assert found, f"{name} has no such diagnosis; it has {[mistake.diagnosis for mistake in exercise.mistakes]}"

    report = checks.check(exercise, exercise.making(found[0]))
    assert report.passed is False
    assert report.diagnosis == found[0].told
