"""Stanford's tokenizer as pycocoevalcap runs it, for captions that must not see each other."""

from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

# The tokenizer reads on beyond the end of a line, so a plain word stands between captions.
BETWEEN = "x"


def tokens(texts):
    """The words of each text. A text may not hold what the tokenizer takes for the end of a line."""
    lines = [line for text in texts for line in (text, BETWEEN)]
    found = PTBTokenizer().tokenize({i: [{"caption": line}] for i, line in enumerate(lines)})
    assert all(found[i] == [BETWEEN] for i in range(1, len(lines), 2)), "a text ended a line"
    words = [found[i][0] for i in range(0, len(lines), 2)]
    # What is quoted in a tag that is left open ends at the next quote, however many lines on: these stand alone.
    for i, text in enumerate(texts):
        if text.count('"', text.rfind("<") + 1) % 2 and text.rfind("<") > text.rfind(">"):
            words[i] = PTBTokenizer().tokenize({0: [{"caption": text}]})[0][0]
    return [line.split(" ") if line else [] for line in words]
