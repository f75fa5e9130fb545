"""The authors' own words, `notes:` of the study file: where a report has them, and what they change nothing of."""

import json

import pytest
from reported import fill, resolved

from ablate.errors import StudyError
from ablate.registry import Registry
from ablate.reports import material, report, words
from ablate.reports.anonymous import Anonymous
from ablate.reports.document import Paragraph, line, strong
from ablate.store.store import Store
from ablate.study.across import make_plan
from ablate.study.file import parse, task_of
from ablate.study.record import PlanRecord

SAID = {"title": "Two nets", "authors": ["Ada L."], "text": "We <i>began</i>.", "tricks": {"norm": "It *steadies*."}}
STUDY = "base: {epochs: 1}\ntricks: {bn: {set: {model.norm: batch}}}\nseeds: 1\n"


def plan_of(text):
    study = parse(text, "s.yaml")
    return make_plan(study, Registry(), task_of(study))


def test_title_names_and_texts_stand_where_a_report_speaks_of_them(tmp_path):
    with Store.open(fill(tmp_path / "a.db", resolved(words=SAID))) as store:
        made = report.document(material.read(store, "demo"))
    assert "Two nets" == made.title
    assert made.subtitle.startswith("Ada L. · 4 variants")
    assert Paragraph(line("We <i>began</i>.")) in made.section("question").blocks
    assert Paragraph(line("We <i>began</i>.")) in made.section("question").brief
    assert line(strong("batch norm."), " ", "It ")[:2] == made.section("words").blocks[0].text[:2]
    keys = [one.key for one in made.sections]
    assert keys.index("words") == keys.index("variants") + 1


def test_words_are_part_of_no_key_and_a_name_that_is_none_is_told():
    alone, said = plan_of(STUDY), plan_of(STUDY + "notes: {text: Why., variants: {base+bn: All of it.}}\n")
    assert [run.key for run in alone.runs] == [run.key for run in said.runs]
    with pytest.raises(StudyError, match=r"s:4:20: notes.variants.base\+b: no variant .*mean 'base\+bn'"):
        plan_of(STUDY + "notes: {variants: {base+b: x}}\n")


def test_a_report_reads_them_from_the_file_as_it_is_now(tmp_path):
    record = PlanRecord.of(resolved(study="s", file=str(tmp_path / "s.yaml"), overrides=[], words=SAID))
    assert SAID == words.current(record)
    (tmp_path / "s.yaml").write_text(STUDY + "notes: {text: Mended.}\n")
    assert {"text": "Mended."} == words.current(record)


def test_anonymous_evidence_names_no_author():
    taken = Anonymous()
    taken.look("study", {"text": "", "resolved": json.dumps({"words": SAID})})
    assert "by NAME" == taken.text("by Ada L.")


def test_a_number_that_names_somebody_is_taken_out_of_words_and_breaks_no_setting_and_no_longer_number():
    taken = Anonymous({"100"})
    study = (
        "# By 100, of group 1000.\nseeds: [100, 200]  # 100's\nepochs: 100\nlr: 0.100\nquestion: Does 100 of Ada help?"
    )
    kept = "# By NAME, of group 1000.\nseeds: [100, 200]  # NAME's\nepochs: 100\nlr: 0.100\nquestion: Does NAME of Ada help?"
    assert kept == taken.text(study)
    assert '{"epochs": 100, "by": "student NAME"}' == taken.text('{"epochs": 100, "by": "student 100"}')
