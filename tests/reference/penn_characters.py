"""Asks Stanford's tokenizer what it takes each character for, and prints the lists of src/score/tokenize/penn_characters.rs.

    python tests/reference/penn_characters.py

Needs pycocoevalcap 1.2, which carries the tokenizer, and a Java runtime. A letter or digit may stand behind a hyphen,
a digit behind a digit and a colon, a mark only inside a word, and a symbol is a word of its own.
"""

import textwrap

from penn import tokens

CHARACTERS = [chr(c) for c in range(0x80, 0x10000) if not 0xD800 <= c < 0xE000]
# They end a line, and the tokenizer's answer is read line by line.
CHARACTERS = [c for c in CHARACTERS if c not in "\u0085\u2028\u2029"]
ASCII = [chr(c) for c in range(0x80) if chr(c).isalnum()]
# Hyphens join words too, and the soft hyphen is in the rules.
JOINERS = set("\u00ad\u058a\u2010\u2011")


def one_token(characters, context):
    """The characters with which the context stays one word, spelled as it was."""
    texts = [context.replace("*", c) for c in characters]
    return {c for c, text, found in zip(characters, texts, tokens(texts)) if found == [text.lower()]}


def listed(name, characters):
    codes, ranges = sorted(map(ord, characters)), []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    text = " ".join(f"{low:x}" if low == high else f"{low:x}-{high:x}" for low, high in ranges)
    lines = textwrap.wrap(text, 100, break_on_hyphens=False)
    body = " \\\n".join("    " + line for line in lines)
    print(f'pub const {name}: &str = "\\\n{body}";\n')


def main():
    characters = CHARACTERS + ASCII
    alphanumeric = one_token(characters, "xx-**") - JOINERS
    digits = one_token(sorted(alphanumeric), "1:*")
    marks = one_token(CHARACTERS, "a*b") - alphanumeric - JOINERS
    symbols = one_token(CHARACTERS, "*") - alphanumeric - marks
    listed("LETTERS", alphanumeric - digits)
    listed("MARKS", marks)
    listed("DIGITS", digits)
    listed("SYMBOLS", symbols)


if __name__ == "__main__":
    main()
