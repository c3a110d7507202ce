"""The specification's own automaton of a responses stream: which event may follow which, and what it repeats.

`accept` takes the events of one stream in their order and fails at the first that is out of place.
"""

TERMINAL = {
    "response.completed": {"completed"},
    "response.incomplete": {"incomplete", "cancelled"},
    "response.failed": {"failed"},
}
FINAL = {"completed", "incomplete", "failed"}
# A text: the field that repeats it whole, and the kind of the part it stands in.
TEXTS = {
    "response.output_text": ("text", "output_text"),
    "response.refusal": ("refusal", "refusal"),
    "response.reasoning": ("text", "reasoning_text"),
    "response.reasoning_summary_text": ("text", "summary_text"),
}
PARTS = {"response.content_part": "content_index", "response.reasoning_summary_part": "summary_index"}
WHERE = {"summary_text": "summary_index"}
INPUTS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
}


def accept(trees, *, failed=False):
    """Fail unless these are the events of one whole stream. failed: it must be one that broke."""
    assert [tree["sequence_number"] for tree in trees] == list(range(len(trees)))
    _Stream().run(trees, failed=failed)


def said(part):
    """The words of a part, whatever its kind calls them."""
    return part.get("text", part.get("refusal"))


class _Item:
    """The item that is open. done: its parts as they were repeated. part: the one that is open."""

    def __init__(self, tree, place):
        self.tree, self.place = tree, place
        self.done = {"content_index": [], "summary_index": []}
        self.part = None
        self.pieces, self.whole = [], None
        self.annotations = {}

    def here(self, tree):
        assert tree["item_id"] == self.tree["id"]
        assert tree["output_index"] == self.place


class _Stream:
    def __init__(self):
        self.items, self.ids, self.open = [], set(), None
        self.response = None

    def run(self, trees, *, failed):
        first, second, *middle, last = trees
        assert [first["type"], second["type"]] == ["response.created", "response.in_progress"]
        assert first["response"]["status"] in {"in_progress", "queued"}
        assert second["response"]["status"] == "in_progress"
        self.response = first["response"]
        error = middle.pop() if failed else None
        for tree in middle:
            self.step(tree)
        self.end(last, failed=failed)
        if failed:
            assert error["type"] == "error"
            assert error["error"]["message"] == error["message"] == last["response"]["error"]["message"]

    def step(self, tree):
        name, _, step = tree["type"].rpartition(".")
        if name == "response.output_item":
            (self.added if step == "added" else self.done)(tree)
        elif name in PARTS:
            (self.part_added if step == "added" else self.part_done)(tree, PARTS[name])
        elif name in TEXTS:
            self.text(tree, step, *TEXTS[name])
        elif name in INPUTS:
            self.input(tree, step, *INPUTS[name])
        elif name == "response.output_text.annotation":
            self.annotation(tree)
        else:
            self.foreign(tree)

    def added(self, tree):
        item = tree["item"]
        assert self.open is None
        assert tree["output_index"] == len(self.items)
        assert item["id"] not in self.ids or "_aigw" not in item["id"]  # a provider's own may be its mistake
        assert item.get("status", "in_progress") not in FINAL or is_foreign(item)
        assert item["type"] != "message" or item["content"] == []
        self.ids.add(item["id"])
        self.open = _Item(item, len(self.items))

    def done(self, tree):
        item, known = tree["item"], self.open
        assert known.part is None
        assert tree["output_index"] == known.place
        assert (item["id"], item["type"]) == (known.tree["id"], known.tree["type"])
        if not is_foreign(item):
            assert item["status"] in FINAL
        if item["type"] in {"message", "reasoning"}:
            self.repeats(item.get("content", []), known, "content_index")
        if item["type"] == "reasoning":
            self.repeats(item["summary"], known, "summary_index")
        for kind, field in INPUTS.values():
            if item["type"] == kind:
                assert item[field] == known.whole
        self.items.append(item)
        self.open = None

    @staticmethod
    def repeats(parts, known, where):
        assert [(part["type"], said(part)) for part in parts] == [
            (part["type"], said(part)) for part in known.done[where]
        ]
        for number, part in enumerate(parts):
            if "annotations" in part:
                assert part["annotations"] == known.annotations.get(number, [])

    def part_added(self, tree, where):
        known = self.open
        known.here(tree)
        assert known.part is None
        assert tree[where] == len(known.done[where])
        assert not said(tree["part"])
        known.part, known.pieces, known.whole = tree["part"], [], None

    def part_done(self, tree, where):
        known = self.open
        known.here(tree)
        assert tree[where] == len(known.done[where])
        assert tree["part"]["type"] == known.part["type"]
        if said(tree["part"]) is not None:
            assert known.whole == said(tree["part"])
        known.done[where].append(tree["part"])
        known.part = known.whole = None

    def text(self, tree, step, field, kind):
        known = self.open
        known.here(tree)
        assert known.part["type"] == kind
        where = WHERE.get(kind, "content_index")
        assert tree[where] == len(known.done[where])
        self.piece(known, tree, step, field)

    def input(self, tree, step, kind, field):
        self.open.here(tree)
        assert self.open.tree["type"] == kind
        self.piece(self.open, tree, step, field)

    @staticmethod
    def piece(known, tree, step, field):
        assert known.whole is None
        if step == "delta":
            known.pieces.append(tree["delta"])
            return
        assert step == "done"
        known.whole = tree[field]
        assert known.whole == "".join(known.pieces)

    def annotation(self, tree):
        known = self.open
        known.here(tree)
        number = tree["content_index"]
        assert number <= len(known.done["content_index"]) - (known.part is None)
        told = known.annotations.setdefault(number, [])
        assert tree["annotation_index"] == len(told)
        told.append(tree["annotation"])

    def foreign(self, tree):
        assert not tree["type"].startswith(("response.output_", "response.content_part"))
        if self.open is not None and "output_index" in tree:
            assert tree["output_index"] == self.open.place

    def end(self, tree, *, failed):
        response = tree["response"]
        assert response["status"] in TERMINAL[tree["type"]]
        assert (tree["type"] == "response.failed") == failed
        assert (response["id"], response["created_at"]) == (self.response["id"], self.response["created_at"])
        assert response["output"][: len(self.items)] == self.items
        # Of an item that was cut off the failure still tells what there is.
        cut = failed and self.open is not None
        assert len(response["output"]) <= len(self.items) + cut
        assert failed or self.open is None
        statuses = [item.get("status") for item in self.items]
        assert "incomplete" not in statuses[:-1]
        assert failed or "incomplete" not in statuses or response["status"] == "incomplete"
        assert (response["incomplete_details"] is None) == (response["status"] != "incomplete")
        assert (response["error"] is not None) == failed


def is_foreign(item):
    """An item of a kind the automaton knows nothing of."""
    return item["type"] not in {"message", "reasoning", *(kind for kind, _ in INPUTS.values())}
