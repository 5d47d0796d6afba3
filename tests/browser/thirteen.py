"""What operators do most, step by step, each in at most five clicks: the one source of the manual and of its test.

A task walks through the console with a ``Hand``, which counts clicks and notes each step as the manual says it. The
manual (``docs/manual.md``) is what was noted so, with a picture of where each task ended (``make manual``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CLICKS_AT_MOST = 5
SECONDS = 120_000  # milliseconds for work of a worker; shared machines are slow


@dataclass
class Hand:
    """Does the steps of a task on a page, and notes them; a click is what a mouse does, typing is none."""

    page: Any
    steps: list[str] = field(default_factory=list)
    n_clicks: int = 0

    def click(self, step: str, target: Any) -> None:
        self.steps.append(step)
        self.n_clicks += 1
        target.click()

    def choose(self, step: str, target: Any, value: str) -> None:
        """From a box of choices."""
        self.steps.append(step)
        self.n_clicks += 1
        target.select_option(value)

    def write(self, step: str, target: Any, text: str, *, enter: bool = False) -> None:
        self.steps.append(step)
        target.fill(text)
        if enter:
            target.press("Enter")

    def read(self, step: str, target: Any) -> str:
        self.steps.append(step)
        target.wait_for(timeout=SECONDS)
        return str(target.inner_text())

    # --- Places -----------------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """From the dashboard; a page that follows a job may load itself anew at this moment, which ends our asking."""
        for _ in range(5):
            try:
                self.page.goto("/admin/")
                return
            except Exception as problem:
                if "ERR_ABORTED" not in str(problem):
                    raise

    def menu(self, name: str) -> None:
        links = self.page.locator("#nav-sidebar a").filter(has_text=re.compile(rf"{re.escape(name)}\s*$"))
        self.click(f"“{name}” in the menu.", links.first)

    def first_row(self, step: str, n: int = 0) -> None:
        self.click(step, self.page.locator("#result_list tbody tr").nth(n).locator("th a, td a").first)

    def button(self, name: str, step: str = "") -> None:
        ends_with = re.compile(rf"{re.escape(name)}\s*$")  # an icon's name stands before it
        buttons = self.page.locator("main a, main button, #main a, #main button, #page a, #page button")
        self.click(step or f"“{name}”.", buttons.filter(has_text=ends_with).filter(visible=True).first)

    def confirm(self, name: str) -> None:
        ends_with = re.compile(rf"{re.escape(name)}\s*$")
        buttons = self.page.locator("button[type=submit]").filter(has_text=ends_with).filter(visible=True)
        self.click(f"“{name}” to confirm.", buttons.last)

    def autocomplete(self, step: str, name: str, words: str) -> None:
        """A box that searches: a click opens it, words find a row, Enter takes it."""
        box = self.page.locator(f"select[name={name}] + .select2 .select2-selection")
        self.click(step, box)
        self.page.keyboard.type(words)
        found = self.page.locator(".select2-results__option--highlighted, .select2-results__option[data-selected]")
        found.filter(has_text=re.compile(re.escape(words), re.IGNORECASE)).first.wait_for()
        self.page.keyboard.press("Enter")

    def done(self, text: str) -> None:
        """What the page says in the end; no step of anyone's."""
        self.page.get_by_text(text).first.wait_for(timeout=SECONDS)


@dataclass(frozen=True)
class Part:
    """What is done in one go, from the dashboard on."""

    title: str
    walk: Callable[[Hand], None]


@dataclass(frozen=True)
class Task:
    slug: str
    title: str
    why: str
    parts: tuple[Part, ...]


# --- The thirteen ----------------------------------------------------------------------------------------------------
def why_not(hand: Hand) -> None:
    hand.menu("Buyers")
    hand.first_row("The buyer.")
    hand.button("Open the lab")
    box = hand.page.locator("input[name=missing_car]")
    hand.write("Type words or the number of a car under “Why is this car not in the list?”, and press Enter.", box, CAR,
               enter=True)  # fmt: skip
    hand.read(
        "Read at which step the car was lost and what would have to change; below it, “The list” has the score of "
        "every car, part by part.",
        hand.page.locator("#why-not"),
    )


def stop_a_dealer(hand: Hand) -> None:
    hand.menu("Sellers")
    hand.first_row("The dealer.")
    hand.button("Hide for a week")
    hand.button(
        "Save", "“Save”: the rule is filled in, with its end. “Preview on real buyers” shows lists without them."
    )
    hand.done("was added successfully")


def boost_electric(hand: Hand) -> None:
    hand.menu("Merchandising rules")
    hand.click("“Boost”, above the list.", hand.page.locator(".fc-tools a", has_text="Boost"))
    name = hand.page.locator("input[name=name]")
    hand.write("Type a name; 20 % is filled in.", name, "Electric cars first")
    tab = hand.page.locator("a, button").filter(has_text=re.compile(r"^\s*Which cars\s*$")).first
    hand.click("“Which cars”.", tab)
    hand.click("“Electric” under “Fuel”.", hand.page.locator("input[name=target_fuel][value=electric]"))
    hand.button("Save")
    hand.done("was added successfully")


def undo_a_boost(hand: Hand) -> None:
    hand.menu("Merchandising rules")
    hand.click("The rule.", hand.page.locator("#result_list a", has_text="Electric cars first").first)
    hand.button("Undo the last change")
    hand.done("was taken back")


def sold_by_phone(hand: Hand) -> None:
    hand.menu("Listings")
    hand.write("Type the number or words of the car into the search, and press Enter.",
               hand.page.locator("input[name=q]").filter(visible=True).first, CAR, enter=True)  # fmt: skip
    hand.first_row("The car.")
    hand.button("Change status")
    hand.choose("“Mark as sold”.", hand.page.locator("select[name=change]").filter(visible=True).last, "sell")
    hand.confirm("Change")
    hand.done("marked as sold")


def bad_rows(hand: Hand) -> None:
    hand.menu("Imports")
    link = hand.page.locator("#result_list td.field-to_mend a").first
    hand.click("The number under “To mend”: how many rows of the file were refused, or lost a value.", link)
    kind = hand.page.locator("section", has_text="a year in the future").first
    hand.click("“Look at them and edit values” beside what is wrong with them.", kind.locator("a").first)
    for number in (2, 3):
        year = hand.page.locator(f"input[name=cell-{number}]")
        hand.write(f"Type the right year of row {number}.", year, "2016")
    hand.button("Save and read the changed rows again")
    hand.read("The page follows the rows by itself; it ends with “Done”.",
              hand.page.locator("#job-progress", has_text="Done"))  # fmt: skip


def teach_a_word(hand: Hand) -> None:
    hand.menu("Imports")
    link = hand.page.locator("#result_list td.field-to_mend a").first
    hand.click("The number under “To mend”.", link)
    means = hand.page.locator("section", has_text="not a known fuel").first.locator("select")
    hand.choose("What the word means, such as “petrol”, in the line of the word.", means, "petrol")
    form = hand.page.locator("section", has_text="not a known fuel").first
    hand.click(
        "“Teach and read these rows again”. The feed's next files are read that way, too.",
        form.locator("button", has_text="Teach").first,
    )
    hand.read("The page follows the rows by itself; it ends with “Done”.",
              hand.page.locator("#job-progress", has_text="Done"))  # fmt: skip


def retrain(hand: Hand) -> None:
    hand.menu("Ranker versions")
    hand.button("Retrain now")
    hand.confirm("Start")
    hand.read("The page follows the training by itself; it ends with “Done”.",
              hand.page.locator("#job-progress", has_text="Done"))  # fmt: skip


def compare(hand: Hand) -> None:
    hand.menu("Ranker versions")
    hand.button("Compare")
    hand.read("What each version has learned, and the lists of the same buyers side by side.",
              hand.page.locator("main, [role=main]").first)  # fmt: skip


def promote(hand: Hand) -> None:
    hand.menu("Ranker versions")
    row = hand.page.locator("#result_list tbody tr", has_text="Ready").first
    hand.click("The version that is ready.", row.locator("th a, td a").first)
    hand.button("Promote")
    note = hand.page.locator("textarea[name=note], input[name=note]").filter(visible=True).last
    hand.write(
        "Say why; a version that did not pass its check needs a reason.", note, "Better lists in the comparison."
    )
    hand.confirm("Promote")
    hand.done("live")


def roll_back(hand: Hand) -> None:
    hand.menu("Ranker versions")
    hand.button("Roll back")
    note = hand.page.locator("textarea[name=note], input[name=note]").filter(visible=True).last
    hand.write("Say why.", note, "Fewer contacts since.")
    hand.confirm("Roll back")
    hand.done("live")


def without_exposure(hand: Hand) -> None:
    hand.menu("Dealers and exposure")
    link = hand.page.locator("a", has_text="had cars for sale, and no list showed one")
    hand.click("“… had cars for sale, and no list showed one”, below the number of sellers.", link)
    hand.read("The sellers without exposure, with their cars; “These as CSV” takes the table along.",
              hand.page.locator("h2", has_text="without exposure"))  # fmt: skip


def start_an_experiment(hand: Hand) -> None:
    hand.menu("Experiments")
    hand.click("“Add”, the plus above the list.", hand.page.locator("a[href$='/experiment/add/']").first)
    hand.write("Type a name without spaces.", hand.page.locator("input[name=slug]"), "more-variety")
    hand.autocomplete("Choose the placement, such as the home page: click, type, Enter.", "placement", "Home")
    hand.button("Save", "“Save”. Each variant's rules can be set now; two that are alike make a trial run.")
    hand.button("Start now")
    hand.done("Started.")


def read_an_experiment(hand: Hand) -> None:
    hand.menu("Experiments")
    link = hand.page.locator("#result_list tbody tr td.field-says a").first
    hand.click("The sentence under “What it says”.", link)
    hand.read("The answer so far, in one sentence; it may be read on any day.", hand.page.locator(".fc-verdict"))


def export_a_person(hand: Hand) -> None:
    hand.menu("Buyers")
    hand.first_row("The buyer.")
    with hand.page.expect_download() as arrived:
        hand.button("Export", "“Export”: a file with everything that is known of them arrives.")
    assert arrived.value.suggested_filename


def forget_a_person(hand: Hand) -> None:
    hand.menu("Buyers")
    hand.first_row("The buyer.")
    hand.button("Erase")
    hand.confirm("Erase for good")
    hand.done("rased")


def why_stale(hand: Hand) -> None:
    hand.read("The first card of the dashboard: “Healthy”, or what is wrong, since when, and the step to take.",
              hand.page.locator(".fc-card").first)  # fmt: skip
    hand.click("The card, for the workers and queues behind it.", hand.page.locator(".fc-card").first)


def pin_a_car(hand: Hand) -> None:
    hand.menu("Listings")
    hand.first_row("The car.")
    hand.button("Pin to the top")
    hand.button("Save", "“Save”: the rule is filled in; add an end, placements or “paid for” where that is wanted.")
    hand.done("was added successfully")


def duplicates(hand: Hand) -> None:
    hand.menu("Data quality")
    line = hand.page.locator("tr", has_text="Probably the same car").first
    hand.click("The number of listings beside “Probably the same car”: they stand next to each other.",
               line.locator("a").first)  # fmt: skip
    hand.click("Tick all of them.", hand.page.locator("#action-toggle"))
    hand.choose("“Keep one of each car” among the actions.", hand.page.locator("select[name=action]").first, "keep_one")
    hand.button("Run", "“Run”: the oldest advertisement of each car stays, the others are withdrawn.")
    hand.done("withdrawn")


def first_visit(hand: Hand) -> None:
    hand.button("See a first visit", "“See a first visit” on the dashboard.")
    hand.done("What suits most buyers")


CAR = "Octavia"
TASKS = (
    Task("why", "Why is this car first, and why is that one not there?", "A dealer asks why their car is not shown.",
         (Part("", why_not),)),
    Task("stop-a-dealer", "Stop a dealer for a week", "Cars do not exist, or calls are not answered.",
         (Part("", stop_a_dealer),)),
    Task("boost", "Boost electric cars by 20 %, and undo it", "A campaign.",
         (Part("Boost", boost_electric), Part("Undo", undo_a_boost))),
    Task("sold", "A car was sold by phone", "It goes out of every list at once; “Put back on sale” undoes it.",
         (Part("", sold_by_phone),)),
    Task("bad-rows", "Fix two bad rows", "A supplier's file has years of the future and a word that is not known.",
         (Part("Edit", bad_rows), Part("Teach", teach_a_word))),
    Task("rankers", "Retrain, compare, promote, roll back", "It happens every night by itself; by hand, any time.",
         (Part("Retrain", retrain), Part("Compare", compare), Part("Promote", promote), Part("Roll back", roll_back))),
    Task("exposure", "Dealers that no list shows", "They pay, and no list shows their cars.",
         (Part("", without_exposure),)),
    Task("experiment", "Start and read an A/B test", "To know what a change does before everyone gets it.",
         (Part("Start", start_an_experiment), Part("Read", read_an_experiment))),
    Task("person", "Export and forget a person", "A person asks for their data, or for being forgotten.",
         (Part("Export", export_a_person), Part("Forget", forget_a_person))),
    Task("stale", "Why are lists stale?", "Buyers say that lists do not follow what they do.", (Part("", why_stale),)),
    Task("pin", "Pin a car", "One car at the top of every list.", (Part("", pin_a_car),)),
    Task("duplicates", "Merge advertisements of the same car", "Two suppliers sent it.", (Part("", duplicates),)),
    Task("first-visit", "See a first visit", "What new visitors are shown.", (Part("", first_visit),)),
)  # fmt: skip


# --- The manual ------------------------------------------------------------------------------------------------------
INTRODUCTION = """# Operator's manual

Thirteen things that operators do, each in at most five clicks from the dashboard. The console is at `/admin/`; what
its pages show is in [console.md](console.md). Steps and pictures are noted by a browser that does them (`make manual`),
and a test does the same steps again.
"""


def manual_of(steps_of: dict[tuple[str, str], list[str]]) -> str:
    """The whole manual; ``steps_of`` is (slug of a task, title of a part) -> its steps."""
    return "\n".join([INTRODUCTION, *(section_of(number, task, steps_of) for number, task in enumerate(TASKS, 1))])


def section_of(number: int, task: Task, steps_of: dict[tuple[str, str], list[str]]) -> str:
    lines = [f"## {number}. {task.title}", "", task.why, ""]
    for part in task.parts:
        lines += [f"**{part.title}**", ""] if part.title else []
        lines += [*(f"{at}. {step}" for at, step in enumerate(steps_of[task.slug, part.title], 1)), ""]
    return "\n".join([*lines, f"![{task.title}](images/manual/{task.slug}.png)", ""])
