"""How much a JSON value holds."""

from config.weight import LIGHT_BYTES_MAX, LIGHT_VALUES_MAX, is_light


def test_what_is_light_as_a_value() -> None:
    assert is_light({"a": ["x" * LIGHT_BYTES_MAX]}) is False
    assert is_light({"a": ["x" * (LIGHT_BYTES_MAX - 1)]}) is True
    assert is_light({"x" * (LIGHT_BYTES_MAX + 1): 1}) is False
    assert is_light([1] * (LIGHT_VALUES_MAX - 1)) is True
    assert is_light({"a": {"b": [1] * LIGHT_VALUES_MAX}}) is False
