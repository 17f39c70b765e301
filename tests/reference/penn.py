"""Stanford's tokenizer as pycocoevalcap runs it, for captions that must not see each other."""

from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

# The tokenizer reads on beyond the end of a line, so a plain word stands between captions.
BETWEEN = "x"


def tokens(texts):
    """The words of each text. A text may not hold what the tokenizer takes for the end of a line."""
    lines = [line for text in texts for line in (text, BETWEEN)]
    found = PTBTokenizer().tokenize({i: [{"caption": line}] for i, line in enumerate(lines)})
    assert all(found[i] == [BETWEEN] for i in range(1, len(lines), 2)), "a text ended a line"
    return [found[i][0].split(" ") if found[i][0] else [] for i in range(0, len(lines), 2)]
