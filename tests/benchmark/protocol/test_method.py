"""A method: how it is written, that it prints and reads as itself, and what a specification stands for."""

import inspect
import sys
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmark.protocol.method import BLOCK_LENGTH, CACHE, CACHES, Method, expand, read_call
from benchmark.protocol.operating_points import OPERATING_POINTS
from benchmark.protocol.settings import describe_scheduler
from benchmark.store.runs import file_name
from samplers import protocol_scheduler_names, scheduler_class, scheduler_names

WORDS = st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True).filter(
    lambda word: word not in (BLOCK_LENGTH, CACHE) and not iskeyword(word)
)
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.booleans() | NUMBERS | st.text(max_size=20) | st.tuples(NUMBERS, st.text(max_size=3))
METHODS = st.builds(
    Method.of,
    st.sampled_from(["confidence", "left_to_right", "served", "own_methods:Rule", "package.module:Rule"]),
    st.dictionaries(
        st.sampled_from(["k", "threshold", "score", "top_p", "note"]) | WORDS.filter(str.isidentifier), VALUES
    ),
    st.none() | st.integers(1, 10**6),
    st.sampled_from([None, *CACHES]),
)


def texts(*specifications: str, new_tokens: int = 32, block_length: int | None = None) -> list[str]:
    return [str(found) for text in specifications for found in expand(text, new_tokens, block_length)]


# -- how a method is written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "confidence:k=4,top_p=0.5",
        "confidence(k=4, top_p=0.5)",
        "confidence(top_p=0.50, k=4)",
        " confidence : k = 4 , top_p = .5 , ",
        "confidence:k=4,top_p=5e-1,top_k=none",
    ],
)
def test_every_notation_says_the_same(text: str) -> None:
    assert texts(text) == ["confidence(k=4, top_p=0.5)"]


@pytest.mark.parametrize("text", ["left_to_right", "left-to-right", "left_to_right:", "left_to_right()"])
def test_a_name_alone_has_no_parameters(text: str) -> None:
    assert read_call(text) == ("left_to_right", {})


@pytest.mark.parametrize("text", ["confidence:k=2,block_length=8", "confidence(block_length=8, k=2)"])
def test_a_block_length_is_part_of_a_method(text: str) -> None:
    (found,) = expand(text, 32, block_length=4)
    assert (str(found), found.block_length) == ("confidence(k=2, block_length=8)", 8)
    assert found != Method.parse("confidence(k=2)")
    assert "block_length" not in found.parameters


def test_values_have_the_type_that_they_look_like() -> None:
    written = "threshold:threshold=1,score='margin',strict=TRUE,temperature=-.5,top_p=none,path=a/b.json,gaps=(7.5, 5)"
    assert read_call(written)[1] == {
        "threshold": 1, "score": "margin", "strict": True, "temperature": -0.5, "top_p": None, "path": "a/b.json",
        "gaps": (7.5, 5),
    }  # fmt: skip


@given(METHODS)
@example(Method.of("confidence", {"k": "-\nA"}))
@settings(deadline=None, max_examples=300)
def test_what_was_printed_is_read_as_the_same_method(found: Method) -> None:
    again = Method.parse(str(found))
    assert again == found
    assert hash(again) == hash(found)
    assert str(again) == str(found)
    assert "\n" not in str(found)


@given(METHODS, METHODS)
@settings(deadline=None, max_examples=300)
def test_methods_are_ordered_and_have_files_of_their_own(first: Method, second: Method) -> None:
    assert (first < second) + (second < first) + (first == second) == 1
    names = [file_name(str(found)) for found in (first, second)]
    assert (names[0] == names[1]) == (first == second)
    assert not any("%" in name or Path(name).name != name for name in names)


def test_methods_are_sorted_by_the_size_of_their_numbers() -> None:
    expected = ["confidence(k=2)", "confidence(k=2, block_length=8)", "confidence(k=16)", "entropy(k=1)"]
    assert list(map(str, sorted(map(Method.parse, reversed(expected))))) == expected


def test_one_text_is_one_method_and_a_list_is_none() -> None:
    with pytest.raises(ValueError, match="several methods"):
        Method.parse("confidence:k=[1,2]")


@pytest.mark.parametrize(
    ("text", "named", "right"),
    [
        ("", "''", "name:parameter=value"),
        ("confidence k=4", "'confidence k=4'", "name:parameter=value"),
        ("confidence(k=4", "'confidence(k=4'", "name:parameter=value"),
        ("confidence:k=4)x", "'k=4)x'", "parameter=value"),
        ("confidence:k=4)(j=3", "'k=4)(j=3'", "parameter=value"),
        ("nothing", "'nothing'", "left_to_right"),
        ("No-Thing:k=4", "'No_Thing'", "left_to_right"),
        ("EntropyScheduler:k=4", "'EntropyScheduler'", "left_to_right"),
        ("entropy:4", "'4'", "parameter=value"),
        ("entropy:k=", "'k='", "parameter=value"),
        ("entropy:=4", "'=4'", "parameter=value"),
        ("entropy:k=4,k=4", "'k'", "twice"),
        ("entropy:k=[]", "'k'", "at least one"),
        ("entropy:quota=4", "'quota'", "num_inference_steps"),
        ("entropy:threshold=0.9", "'threshold'", "num_inference_steps"),
        ("entropy:k=0", "k=0", "at least 1"),
        ("entropy:k=1.5", "k=1.5", "whole number"),
        ("entropy:k=four", "k='four'", "whole number"),
        ("entropy:k=[2,four]", "k='four'", "whole number"),
        ("entropy:k=4,num_inference_steps=8", "num_inference_steps=8", "give one"),
        ("entropy:temperature=-1", "temperature=-1", "at least 0"),
        ("entropy:k=99999999999", "k=99999999999", "at most 1000000"),
        ("entropy:k=1e999", "k=inf", "at most 1000000"),
        ("entropy:block_length=0", "block_length=0", "at least 1"),
        ("entropy:block_length=half", "block_length='half'", "whole number"),
        ("entropy:block_length=true", "block_length=True", "whole number"),
        ("threshold:threshold=nan", "threshold=nan", "a number"),
        ("threshold:threshold=inf", "threshold=inf", "at most 1000000"),
        ("threshold:threshold=-inf", "threshold=-inf", "at most 1000000"),
        ("threshold:score=luck", "score='luck'", "margin"),
        ("zz*", "'zz*'", "left_to_right"),
        ("entropy:k=" + "[" * 2000, "entropy", "parameter=value"),
    ],
    ids=lambda value: value[:40],
)
def test_what_cannot_be_read_is_named_with_what_would_be_right(text: str, named: str, right: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as error:
        expand(text, 32)
    message = str(error.value)
    assert named in message
    assert right in message
    assert "\n" not in message


# -- what a specification stands for -----------------------------------------------------------------------------------


def test_a_name_stands_for_the_published_values_of_its_speed() -> None:
    assert texts("entropy", new_tokens=80) == [f"entropy(k={2**power})" for power in range(7)]
    assert texts("threshold") == [f"threshold(threshold={value:g})" for value in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
    assert texts("factor") == [f"factor(factor={value:g})" for value in (0.7, 1.0, 1.3, 1.6, 1.9)]
    assert texts("eb") == [f"eb(entropy_bound={bound})" for bound in (0.001, 0.01, 0.1, 0.6)]
    assert texts("dilated") == ["dilated()"]
    assert texts("saber", new_tokens=4) == ["saber(k=1)", "saber(k=2)", "saber(k=4)"]


@pytest.mark.parametrize("name", scheduler_names())
def test_every_method_of_the_library_can_be_built_and_read_again(name: str) -> None:
    found = expand(name, 32)
    assert len(set(found)) == len(found) >= 1
    for each in found:
        scheduler = each.build(temperature=1.0)
        assert type(scheduler) is scheduler_class(name)
        assert scheduler.config.temperature == 1.0
        assert {key: scheduler.config[key] for key in each.parameters} == each.parameters
        assert Method.parse(str(each)) == each


def test_naming_the_parameter_of_speed_gives_one_method() -> None:
    assert texts("entropy:k=4") == ["entropy(k=4)"]
    assert texts("entropy:num_inference_steps=8") == ["entropy(num_inference_steps=8)"]
    assert texts("threshold:threshold=0.85") == ["threshold(threshold=0.85)"]
    assert texts("factor(factor=2)") == ["factor(factor=2)"]


def test_lists_stand_for_every_combination_in_the_scheduler_s_own_order() -> None:
    assert texts("confidence:temperature=[0,1],k=[2,4]") == [
        f"confidence(k={k}, temperature={temperature})" for k in (2, 4) for temperature in (0, 1)
    ]
    assert texts("threshold:score=margin")[:2] == [
        "threshold(threshold=0.5, score=margin)",
        "threshold(threshold=0.6, score=margin)",
    ]
    assert texts("confidence:k=[2,4,2]") == ["confidence(k=2)", "confidence(k=4)"]


@given(st.integers(1, 300))
@settings(deadline=None, max_examples=20)
def test_powers_of_two_go_up_to_the_new_tokens_and_k_up_to_the_block_length(new_tokens: int) -> None:
    found = expand("margin:k=powers_of_two,block_length=powers_of_two", new_tokens)
    powers = [2**power for power in range(20) if 2**power <= new_tokens]
    pairs = [(each.parameters["k"], each.block_length) for each in found]
    assert pairs == [(k, length) for k in powers for length in powers if k <= length]


def test_one_k_above_one_block_length_is_run_as_it_was_asked_for() -> None:
    assert texts("entropy:k=8", block_length=4) == ["entropy(k=8, block_length=4)"]
    assert texts("entropy", block_length=4) == [f"entropy(k={k}, block_length=4)" for k in (1, 2, 4)]


def test_left_to_right_has_blocks_of_k_unless_a_block_length_is_named() -> None:
    assert [each.decoded_block_length for each in expand("left_to_right", 8)] == [1, 2, 4, 8]
    assert all(each.block_length is None for each in expand("left_to_right", 8))
    assert [each.decoded_block_length for each in expand("left_to_right:k=4,block_length=8", 8)] == [8]
    assert [each.decoded_block_length for each in expand("left_to_right:num_inference_steps=4", 8)] == [None]
    assert {each.decoded_block_length for each in expand("random", 8)} == {None}


# -- caches and operating points ---------------------------------------------------------------------------------------


def test_a_cache_is_part_of_what_a_method_is() -> None:
    methods = expand("confidence:k=2,cache=[none,prefix,dual]", 8)
    assert list(map(str, methods)) == [
        "confidence(k=2)",
        "confidence(k=2, cache=prefix)",
        "confidence(k=2, cache=dual)",
    ]
    assert [each.cache for each in methods] == [None, "prefix", "dual"]
    assert len(set(methods)) == 3
    for each in methods:
        assert Method.parse(str(each)) == each
        assert Method.parse(str(each)).cache == each.cache
    assert texts("confidence:k=2,cache=dual", block_length=4) == ["confidence(k=2, block_length=4, cache=dual)"]


def test_the_caches_are_those_of_the_loop() -> None:
    from samplers.denoisers.sessions import CACHES as OF_THE_LOOP

    assert (None, *CACHES) == OF_THE_LOOP


@pytest.mark.parametrize("text", ["confidence:cache=both", "confidence(k=1, cache=1)"])
def test_an_unknown_cache_is_refused(text: str) -> None:
    for read in (lambda: expand(text, 8), lambda: Method.parse(text)):
        with pytest.raises(ValueError, match=r"cache=.* should be prefix or dual"):
            read()


def test_no_scheduler_has_a_parameter_of_a_reserved_name() -> None:
    for name in scheduler_names():
        parameters = inspect.signature(scheduler_class(name).__init__).parameters
        assert not {BLOCK_LENGTH, CACHE} & set(parameters), name
        assert name not in OPERATING_POINTS


def test_an_operating_point_goes_through_as_any_method_does() -> None:
    (plain,) = expand("autoregressive", 8, block_length=4)
    assert str(plain) == "autoregressive()"
    assert Method.parse("autoregressive()") == Method.parse("autoregressive") == plain
    swept = expand("served:temperature=[0, 0.7],reasoning_effort=low", 8)
    assert list(map(str, swept)) == [
        "served(temperature=0, reasoning_effort=low)",
        "served(temperature=0.7, reasoning_effort=low)",
    ]
    assert sorted([*swept, plain, *expand("confidence:k=1", 8)])[0] == plain
    assert all(Method.parse(str(each)).parameters == each.parameters for each in swept)
    assert all(each.is_operating_point for each in (plain, *swept))
    assert describe_scheduler("served") == {"speed_parameter": None, "adaptive": False, "blocks_follow_k": False}


def test_an_operating_point_has_no_scheduler() -> None:
    for name in OPERATING_POINTS:
        with pytest.raises(ValueError, match=f"{name} is no scheduler; .*ar:NAME or api:NAME"):
            Method.parse(name).build(0.0)


def test_a_pattern_stands_for_built_in_schedulers() -> None:
    names = dict.fromkeys(each.name for each in expand("*", 8))
    assert set(protocol_scheduler_names()) < set(names) <= set(scheduler_names())
    assert {each.name for each in expand("quota*", 8)} == {"quota_threshold"}


def test_a_method_s_own_temperature_wins() -> None:
    (found,) = expand("entropy:k=4,temperature=0", 32)
    assert found.build(temperature=1.0).config.temperature == 0


# -- a scheduler of one's own -----------------------------------------------------------------------------------------

OWN = """
from samplers import ConfidenceScheduler


class OwnScheduler(ConfidenceScheduler):
    pass


not_a_scheduler = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "own_methods.py").write_text(OWN)
    (tmp_path / "click.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    yield "own_methods"
    sys.modules.pop("own_methods", None)


@pytest.mark.parametrize("parameters", ["(k=4, top_p=0.5)", ":k=4,top_p=0.5", " : top_p=0.5, k=4"])
def test_a_class_is_named_by_where_it_is(own_module: str, parameters: str) -> None:
    (found,) = expand(f"{own_module}:OwnScheduler{parameters}", 32)
    assert str(found) == "own_methods:OwnScheduler(k=4, top_p=0.5)"
    assert Method.parse(str(found)) == found
    scheduler = found.build(temperature=1.0)
    assert (type(scheduler).__name__, scheduler.config.k) == ("OwnScheduler", 4)
    assert sys.path[-1] == str(Path.cwd()), "nothing installed is shadowed"


def test_a_class_alone_has_the_sweep_of_its_parameter(own_module: str) -> None:
    assert texts(f"{own_module}:OwnScheduler", new_tokens=2) == [f"own_methods:OwnScheduler(k={k})" for k in (1, 2)]


@pytest.mark.parametrize(
    ("text", "named", "right"),
    [
        ("no_such_module:Own", "no_such_module:Own", "No module named"),
        ("own_methods:Missing(k=4)", "own_methods:Missing", "no attribute 'Missing'"),
        ("own_methods:not_a_scheduler", "own_methods:not_a_scheduler", "derived from UnmaskingScheduler"),
        ("own_methods:OwnScheduler(quota=4)", "'quota'", "num_inference_steps"),
        ("entropy:OwnScheduler", "'OwnScheduler'", "parameter=value"),
    ],
)
def test_a_class_that_cannot_be_used_is_named(own_module: str, text: str, named: str, right: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as error:
        expand(text, 32)
    assert named in str(error.value)
    assert right in str(error.value)
