"""What `import ablate` costs: nothing is loaded before a verb is called. Held by modules, for times are a machine's."""

import inspect
import subprocess
import sys

import ablate


def test_import_ablate_loads_nothing_of_its_own_and_no_library(tmp_path):
    code = "import sys; before = set(sys.modules); import ablate; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    if done.returncode:  # installed in site-packages alone
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    loaded = set(done.stdout.split())
    assert {"ablate", "ablate.study"} == {name for name in loaded if name.partition(".")[0] == "ablate"}
    assert {name.partition(".")[0] for name in loaded} <= sys.stdlib_module_names | {"ablate"}


def test_ablate_study_is_a_call_and_a_room_whoever_imports_it_first():
    import ablate.study.file as file

    assert callable(ablate.study)
    assert ablate.study.file is file
    assert {"task", "command", "base", "tricks", "seeds", "metric"} <= set(inspect.signature(ablate.study).parameters)


def test_its_arguments_are_the_keys_of_a_study_file():
    from ablate.study.form import StudyForm
    from ablate.study.structure import keys

    assert {*keys(StudyForm), "command", "question", "db"} == set(inspect.signature(ablate.study).parameters)
