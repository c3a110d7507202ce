import aigw


async def test_the_openai_sdk_chats_streams_and_calls_tools(examples, aiohttp_server, run_python, fake_env):
    gateway = aigw.Gateway()
    gateway.models.register("demo", aigw.DemoProvider(pace_s=0))
    server = await aiohttp_server(gateway.make_app())
    code, printed = await run_python(examples / "openai_sdk.py", server.make_url("/v1"), env=fake_env())
    assert code == 0, printed
    chat, stream, tool, answer = printed.splitlines()
    assert chat.startswith('chat:   Hello! You said: "Hello there".')
    assert stream.removeprefix("stream:").strip() == chat.removeprefix("chat:").strip()
    assert tool.startswith("tool:   get_weather {'city': ")
    assert "18 degrees, light rain" in answer
