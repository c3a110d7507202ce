"""The official SDK, for all that is kept."""

import openai
import pytest
from support.stateful import says, tell


@pytest.fixture
def client(caller, sdk):
    return sdk(caller.url, key="sk-a")


async def test_the_sdk_continues_reads_lists_and_deletes(client, upstream):
    tell(upstream, "chat", says("A1"))
    tell(upstream, "chat", says("A2"))
    first = await client.responses.create(model="m", input="Q1")
    second = await client.responses.create(model="m", input="Q2", previous_response_id=first.id)
    assert second.output_text == "A2"
    assert second.previous_response_id == first.id
    kept = await client.responses.retrieve(second.id)
    assert kept.to_dict() == second.to_dict()
    items = await client.responses.input_items.list(second.id, order="asc")
    assert [item.content[0].text for item in items.data] == ["Q1", "A1", "Q2"]
    paged = [item.id async for item in client.responses.input_items.list(second.id, limit=1)]
    assert paged == [item.id for item in reversed(items.data)]
    await client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(second.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="m", input="Q3", previous_response_id=second.id)
    assert caught.value.code == "previous_response_not_found"
    assert f"Previous response with id '{second.id}' not found." in caught.value.message


async def test_the_sdk_streams_and_reads_what_it_has_streamed(client, upstream):
    tell(upstream, "messages", says("Hello there"), stream=True)
    text = ""
    async with client.responses.stream(model="messages", input="hi") as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
        final = await stream.get_final_response()
    assert text == final.output_text == "Hello there"
    kept = await client.responses.retrieve(final.id)
    assert kept.output_text == text
    events = [event async for event in await client.responses.retrieve(final.id, stream=True)]
    assert events[0].type == "response.created"
    assert events[-1].response.output_text == text
    follow_up = await client.responses.create(
        model="messages", input="more", stream=True, previous_response_id=final.id
    )
    assert [event.response.id async for event in follow_up if event.type == "response.completed"]


async def test_the_sdk_keeps_conversations(client, upstream):
    tell(upstream, "chat", says("A1"))
    conversation = await client.conversations.create(
        metadata={"topic": "demo"}, items=[{"type": "message", "role": "user", "content": "before"}]
    )
    assert conversation.metadata == {"topic": "demo"}
    assert (await client.conversations.retrieve(conversation.id)).to_dict() == conversation.to_dict()
    changed = await client.conversations.update(conversation.id, metadata={"topic": "other"})
    assert changed.metadata == {"topic": "other"}
    told = await client.responses.create(model="m", input="Q1", conversation=conversation.id)
    assert told.conversation.id == conversation.id
    added = await client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "after"}]
    )
    item = added.data[0]
    shown = await client.conversations.items.retrieve(item.id, conversation_id=conversation.id)
    assert shown.content[0].text == "after"
    listed = [
        each.content[0].text
        async for each in client.conversations.items.list(
            conversation.id, limit=1, order="asc", include=["message.output_text.logprobs"]
        )
    ]
    assert listed == ["before", "Q1", "A1", "after"]
    assert (
        await client.conversations.items.delete(item.id, conversation_id=conversation.id)
    ).id == conversation.id
    gone = await client.conversations.delete(conversation.id)
    assert gone.deleted
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(conversation.id)


async def test_the_sdk_may_ask_for_nothing_to_be_kept(client, upstream):
    tell(upstream, "chat", says("A1"))
    told = await client.responses.create(model="m", input="Q1", store=False)
    assert told.store is False
    with pytest.raises(openai.NotFoundError) as caught:
        await client.responses.retrieve(told.id)
    assert f"Response with id '{told.id}' not found." in caught.value.message
