"""Profile text → profile or problems: exact lines, keys, messages and hints."""

from __future__ import annotations

import pytest

from core.data.recipe import Task
from core.profile.document import Problem, check_text
from core.profile.schema import DataKeys, ModelKeys, Profile, TrainKeys


def problems(text: str) -> list[tuple[int | None, str, str]]:
    """(line, key, message) of every problem; there must be some."""
    profile, found = check_text(text)
    assert profile is None
    assert found
    return [(problem.line, problem.key, problem.message) for problem in found]


def only(text: str) -> Problem:
    """The one problem."""
    profile, found = check_text(text)
    assert profile is None
    assert len(found) == 1, found
    return found[0]


def test_an_empty_text_is_the_defaults() -> None:
    assert check_text("") == (Profile(), ())


def test_values_arrive() -> None:
    profile, found = check_text(
        'model.base = "m"\n[train]\nlearning_rate = 1\nbatch_size = 12\n[data]\nrows = 520\nhold_out = ["白日"]\n'
        'columns = {output = "後"}\n[[data.tasks]]\nname = "s"\ninstruction = "學{author}"\nweight = 2\n'
    )
    assert found == ()
    assert profile is not None
    assert profile.model == ModelKeys(base="m")
    assert profile.train == TrainKeys(learning_rate=1.0, batch_size=12)
    assert isinstance(profile.train.learning_rate, float)
    assert profile.data == DataKeys(
        rows=520, hold_out=("白日",), columns={"output": "後"}, tasks=(Task("s", "學{author}", None, None, 2.0),)
    )
    assert isinstance(profile.data.tasks[0].weight, float)


def test_all_problems_at_once_by_line() -> None:
    text = """modle.base = "x"
[train]
epochs = true
batch_size = 6
learning_rate = "1e-3"
lerning_rate = 3
NUM_TRAIN_DATA = 3
seed = 4294967296
top_p = 0.5
gradient_accumulation = 3
[lora]
target_modules = ["q_proj",
  3,
  ""]
bias = "al"
r = 1.0
"""
    assert problems(text) == [
        (1, "modle", "there is no table [modle]"),
        (3, "train.epochs", "train.epochs must be a whole number, not true"),
        (4, "train.batch_size", "train.batch_size 6 is not a multiple of train.micro_batch_size 4"),
        (5, "train.learning_rate", "train.learning_rate must be a number, not text"),
        (6, "train.lerning_rate", "there is no key train.lerning_rate"),
        (7, "train.NUM_TRAIN_DATA", "there is no key train.NUM_TRAIN_DATA"),
        (8, "train.seed", "train.seed can't be 4294967296"),
        (9, "train.top_p", "there is no key train.top_p"),
        (10, "train.gradient_accumulation", "there is no key train.gradient_accumulation"),
        (13, "lora.target_modules[1]", "lora.target_modules[1] must be text, not a whole number"),
        (14, "lora.target_modules[2]", "lora.target_modules[2] is empty"),
        (15, "lora.bias", 'lora.bias can\'t be "al"'),
        (16, "lora.r", "lora.r must be a whole number, not one with a decimal point"),
    ]
    hints = {problem.key: problem.hint for problem in check_text(text)[1]}
    assert (
        hints["modle"]
        == "Did you mean [model]? The tables are: [model], [data], [train], [lora], [generation], [notify]."
    )
    assert hints["train.epochs"] == "It may be: 1 to 10,000 epochs."
    assert hints["train.batch_size"] == "Take batch_size = 8, or micro_batch_size = 3."
    assert hints["train.learning_rate"] == "Leave out the quotes."
    assert hints["train.lerning_rate"] == "Did you mean train.learning_rate?"
    assert hints["train.NUM_TRAIN_DATA"] == "It is called data.rows here."
    assert hints["train.top_p"] == "It is called generation.top_p here."
    assert hints["train.gradient_accumulation"] == (
        "train.gradient_accumulation is not set but follows: train.batch_size / train.micro_batch_size."
    )
    assert hints["lora.bias"] == 'Did you mean "all"? It may be: "none", "all", "lora_only".'
    assert hints["lora.r"] == "Write r = 1."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train.epochs = 0", "train.epochs can't be 0"),
        ("train.epochs = false", "train.epochs must be a whole number, not false"),
        ('train.epochs = "3"', "train.epochs must be a whole number, not text"),
        ("train.epochs = 2020-01-01", "train.epochs must be a whole number, not a date or time"),
        ("train.epochs = 07:32:00", "train.epochs must be a whole number, not a date or time"),
        ("train.epochs = [3]", "train.epochs must be a whole number, not a list"),
        ("train.epochs = {a = 3}", "train.epochs must be a whole number, not a table"),
        ("train.learning_rate = 0", "train.learning_rate can't be 0"),
        ("train.learning_rate = 1.5", "train.learning_rate can't be 1.5"),
        ("train.learning_rate = true", "train.learning_rate must be a number, not true"),
        ("train.learning_rate = nan", "train.learning_rate must be a finite number, not nan"),
        ("train.learning_rate = -inf", "train.learning_rate must be a finite number, not -inf"),
        ("train.learning_rate = 1e999", "train.learning_rate must be a finite number, not inf"),
        ("train.warmup_ratio = 1", "train.warmup_ratio can't be 1"),
        ("train.adam_beta1 = 1.0", "train.adam_beta1 can't be 1.0"),
        ("train.adam_beta2 = -0.1", "train.adam_beta2 can't be -0.1"),
        ("train.adam_epsilon = 0.0", "train.adam_epsilon can't be 0.0"),
        ("train.keep_checkpoints = 0", "train.keep_checkpoints can't be 0"),
        ("lora.dropout = 1.0", "lora.dropout can't be 1.0"),
        ("lora.alpha = 0", "lora.alpha can't be 0"),
        ("generation.top_p = 0", "generation.top_p can't be 0"),
        ("generation.temperature = -1", "generation.temperature can't be -1"),
        ("generation.repetition_penalty = 0", "generation.repetition_penalty can't be 0"),
        ("data.cutoff_len = 7", "data.cutoff_len can't be 7"),
        ("data.rows = 0", "data.rows can't be 0"),
        ('data.rows = "al"', 'data.rows must be a whole number or "all", not text'),
        ("data.rows = 1.5", 'data.rows must be a whole number or "all", not one with a decimal point'),
        ('data.hold_out = "白日"', "data.hold_out must be a list of texts, not text"),
        (
            "data.exclude = 3",
            'data.exclude must be a list of row numbers, ranges such as "100-120" and kinds of problems, '
            "not a whole number",
        ),
        ("data.exclude = [0, -1]", "data.exclude[1] can't be -1"),
        ("data.exclude = [1.0]", "data.exclude[0] can't be 1.0"),
        ("data.exclude = [true]", "data.exclude[0] can't be true"),
        ("data.exclude = [1000000001]", "data.exclude[0] can't be 1000000001"),
        ('data.exclude = ["17"]', 'data.exclude[0] can\'t be "17"'),
        ('data.exclude = ["5-4"]', "data.exclude[0] ends before it begins"),
        ('data.exclude = ["5-"]', 'data.exclude[0] can\'t be "5-"'),
        ('data.exclude = ["duplicates"]', 'data.exclude[0] can\'t be "duplicates"'),
        ('data.exclude = ["leakage"]', 'data.exclude[0] can\'t be "leakage"'),
        ('data.path = ""', "data.path is empty"),
        ('data.path = " "', "data.path is empty"),
        ("data.path = 3", "data.path must be text, not a whole number"),
        ('data.path = "a\\u0000b"', "data.path holds the control character U+0000"),
        ('data.path = "a\\nb"', "data.path holds the control character U+000A"),
        ('data.system_prompt = "\\u001b[31m"', "data.system_prompt holds the control character U+001B"),
        ('model.device = "gpu"', 'model.device can\'t be "gpu"'),
        ('model.device = "cuda:"', 'model.device can\'t be "cuda:"'),
        ('model.device = "cuda:N"', 'model.device can\'t be "cuda:N"'),
        ('model.dtype = "float16"', 'model.dtype can\'t be "float16"'),
        ('lora.task_type = "SEQ_CLS"', 'lora.task_type can\'t be "SEQ_CLS"'),
        ('train.trackers = "wandb"', "train.trackers must be a list of texts, not text"),
        ('train.trackers = ["wandb", "tensorbord"]', 'train.trackers[1] can\'t be "tensorbord"'),
        ('train.trackers = ["wandb", "wandb"]', 'train.trackers names "wandb" twice'),
        ("notify.command = 3", "notify.command must be text, not a whole number"),
        ("notify.command = 'mail \"me'", "notify.command ends inside quotation marks or after a backslash"),
        ("notify.command = 'mail me\\'", "notify.command ends inside quotation marks or after a backslash"),
        ("notify.command = '\"\" me'", "notify.command names no program"),
        ('notify.command = "mail\\nme"', "notify.command holds the control character U+000A"),
        ("train = 3", "train must be a table"),
        ("epochs = 3", "there is no key epochs outside the tables"),
        ("data.columns = 3", "data.columns must be a table of column names, not 3"),
        ('data.columns = {inptu = "a"}', "there is no field data.columns.inptu"),
        ("data.columns = {input = 3}", "data.columns.input must be text, not a whole number"),
        (
            'data.columns = {input = "a", output = "a"}',
            'data.columns.output and data.columns.input are the same column, "a"',
        ),
        ("data.tasks = 3", "data.tasks must be a list of tables, not 3"),
        ("data.tasks = {name = 'a'}", "data.tasks must be a list of tables"),
        ("data.tasks = ['a']", 'data.tasks[0] must be a table, not "a"'),
        ("data.tasks = [{weight = 1}]", "data.tasks[0] has no name"),
        ("data.tasks = [{name = 'a', wieght = 1}]", "there is no key data.tasks[0].wieght"),
        ("data.tasks = [{name = 'a', weight = -1}]", "data.tasks[0].weight can't be -1"),
        ("data.tasks = [{name = 'a', weight = nan}]", "data.tasks[0].weight must be a finite number, not nan"),
        ("data.tasks = [{name = 'a', input = 3}]", "data.tasks[0].input must be text, not a whole number"),
        ("data.tasks = [{name = 'a', weight = 0}]", "every task of data.tasks has weight 0: none would ever be chosen"),
        ("data.tasks = [{name = 'a'}, {name = 'a'}]", 'data.tasks has two tasks named "a"'),
        ("lora.target_modules = []", "lora.target_modules is empty: nothing would train"),
        ("lora.target_modules = ['a', 'b', 'a']", 'lora.target_modules names "a" twice'),
        ("train.sample_prompts = []", "train.sample_every is 500 but train.sample_prompts is empty"),
        ("train.batch_size = 2", "train.batch_size 2 is not a multiple of train.micro_batch_size 4"),
        ("train.micro_batch_size = 16", "train.batch_size 8 is not a multiple of train.micro_batch_size 16"),
    ],
)
def test_one_wrong_value(line: str, message: str) -> None:
    problem = only(f"# first\n{line}\n")
    assert (problem.line, problem.message) == (2, message)
    assert problem.hint


@pytest.mark.parametrize(
    "line",
    [
        "train.warmup_ratio = 0",
        "train.max_grad_norm = 0",
        "train.seed = 4294967295",
        "generation.temperature = 0",
        "generation.top_p = 1",
        "data.eval_rows = 0",
        "data.cutoff_len = 8",
        'data.rows = "all"',
        'data.system_prompt = "一\\n二\\t三"',
        'model.device = "cuda:7"',
        "train.sample_prompts = []\ntrain.sample_every = 0",
        "data.tasks = []",
        "data.tasks = [{name = 'a'}, {name = 'b', weight = 0}]",
        "data.tasks = [{name = 'a', instruction = '', output = '{{{title}}}'}]",
        "data.columns = {}",
        'train.trackers = ["wandb", "tensorboard", "trackio"]',
        'notify.command = ""',
        'notify.command = "  "',
        "notify.command = 'mail -s \"a run\" me\\@here'",
    ],
)
def test_edge_values_are_fine(line: str) -> None:
    profile, found = check_text(line)
    assert found == ()
    assert profile is not None


def test_the_hints_for_trackers() -> None:
    assert only('train.trackers = "wandb"').hint == 'Write trackers = ["wandb"].'
    hint = only('train.trackers = ["tensorbord"]').hint
    assert hint == 'Did you mean "tensorboard"? It may be: "tensorboard", "trackio", "wandb".'


def test_a_bad_template_names_its_line() -> None:
    problem = only('[[data.tasks]]\nname = "a"\n[[data.tasks]]\nname = "b"\ninstruction = "學{author"\n')
    assert (problem.line, problem.key) == (5, "data.tasks[1].instruction")
    assert problem.message.startswith("data.tasks[1].instruction: the braces don't match")


def test_single_brackets_for_tasks() -> None:
    problem = only('[data.tasks]\nname = "a"\n')
    assert (problem.line, problem.key, problem.hint) == (1, "data.tasks", "Write [[data.tasks]], with two brackets.")


def test_double_brackets_for_a_table() -> None:
    problem = only("[[train]]\nepochs = 3\n")
    assert (problem.line, problem.message) == (1, "train must be a table")
    assert problem.hint == "Write [train] on a line of its own, and its keys below."


def test_a_contradiction_names_the_key_that_is_in_the_text() -> None:
    problem = only("[train]\nepochs = 3\nmicro_batch_size = 3\n")
    assert (problem.line, problem.key) == (3, "train.micro_batch_size")
    assert problem.hint == "Take batch_size = 9, or micro_batch_size = 2."


def test_no_contradiction_of_a_value_that_is_wrong_or_misspelt() -> None:
    assert problems("[train]\nbatch_size = 2\nmicro_batch_size = 0\n") == [
        (3, "train.micro_batch_size", "train.micro_batch_size can't be 0")
    ]
    assert problems("[train]\nbatch_size = 2\nmicro_batchsize = 2\n") == [
        (3, "train.micro_batchsize", "there is no key train.micro_batchsize")
    ]
    assert [line for line, *_rest in problems("[train]\nbatch_size = 2\nmicro_batch_size = 2x\n")] == [3]
