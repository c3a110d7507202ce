from aigw.model import Choice, FunctionCall, Message, Response, TextPart, Usage


def test_counts_add_up():
    left = Usage(1, 2, 3, 4, 5, 6, 7, extras={"d:cost": 1, "d:a": 1})
    right = Usage(10, 20, 30, 40, 50, 60, 70, extras={"d:cost": 2})
    assert left + right == Usage(11, 22, 33, 44, 55, 66, 77, extras={"d:cost": 2, "d:a": 1})


def test_a_providers_own_total_is_kept_and_added():
    assert Usage(1, 2).total == 3
    assert Usage(1, 2, total_tokens=10).total == 10
    assert (Usage(1, 2, total_tokens=10) + Usage(1, 1)).total_tokens == 12
    assert (Usage(1, 2) + Usage(1, 1)).total_tokens is None


def test_a_response_gives_the_text_and_calls_of_its_first_choice():
    call = FunctionCall("c", "f", "{}")
    message = Message("assistant", (TextPart("a"), TextPart("b")))
    response = Response(choices=(Choice((message, call)), Choice((), index=1)))
    assert response.text == "ab"
    assert response.items == (message, call)
    assert response.choices[0].calls == (call,)
    assert Response().text == ""
    assert Response().items == ()
