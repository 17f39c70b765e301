"""Captions for tests/reference/scores.py, drawn from a seed out of made-up material."""

from scores_material import ODD_TEXTS, PIECES, SEPARATORS, SUBJECTS, VERBS, PLACES, THINGS, WORDS


def clothing(rng, shortest=3, longest=40):
    """Words of captions of clothes with punctuation here and there."""
    text = ""
    for _ in range(rng.randint(shortest, longest)):
        text += rng.choice(WORDS) + rng.choice([" "] * 12 + [", ", ". ", " - "])
    return text.strip() + rng.choice(["", ".", " .", "!"])


def scene(rng):
    """A caption as COCO has them."""
    text = f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(THINGS)}"
    if rng.random() < 0.7:
        text += f" {rng.choice(PLACES)}"
    if rng.random() < 0.2:
        text += f" and {rng.choice(THINGS)}"
    return rng.choice([text, text.capitalize()]) + rng.choice([".", "", " .", ". ", "!"])


def odd(rng):
    """Pieces of every kind, mostly not what a caption is made of."""
    text = ""
    for _ in range(rng.choice([1, 2, 2, 3, 3, 4, 5, 8, 12])):
        piece = rng.choice(PIECES)
        style = rng.random()
        piece = piece.upper() if style < 0.06 else piece.capitalize() if style < 0.12 else piece
        text += (piece[::-1] if style > 0.98 else piece) + rng.choice(SEPARATORS)
    return text


def reworded(rng, text):
    """A caption that shares much with another: words dropped, replaced and moved."""
    words = [word for word in text.split() if rng.random() > 0.15]
    words = [rng.choice(WORDS) if rng.random() < 0.2 else word for word in words]
    if len(words) > 4 and rng.random() < 0.5:
        cut = rng.randrange(1, len(words))
        words = words[cut:] + words[:cut]
    return " ".join(words).lower() if rng.random() < 0.5 else " ".join(words)


def image(rng, draw, most):
    """A caption and references of one image."""
    first = draw(rng)
    references = [first] + [reworded(rng, first) if rng.random() < 0.6 else draw(rng) for _ in range(most - 1)]
    return rng.choice([reworded(rng, first)] * 4 + [first, draw(rng)]), references[: rng.randint(1, most)]


def empty_texts():
    """Captions and references without words, in every combination, and the smallest ones with some."""
    blank = ["", " ", "\n", "\t \n", ".", " . , ", "\u00a0", "\U0001f389"]
    pairs = [(hypothesis, [reference]) for hypothesis in blank[:6] for reference in ["", "a red dress", " ."]]
    return pairs + [
        ("a red dress", [""]),
        ("a red dress", ["", "a red dress", ""]),
        ("", ["a", "", "b c"]),
        ("the the the", ["the the", "the"]),
        ("a", ["a"]),
        ("\U0001f389", ["\U0001f389 \u4e2d\u6587", "\u4e2d\u6587"]),
        ("A red Dress", ["a red dress", "A Red dress"]),
        ("one\ntwo three", ["one two three", "two\nthree"]),
    ]


GOLDEN = [
    ("this woman wears a short sleeve shirt with solid color patterns",
     ["the lady wears a short sleeve t shirt with pure color patterns"]),
    ("the trousers are cotton and the patterns are solid color",
     ["the pants are with cotton fabric and solid color patterns"]),
    ("the tank top this female wears has no sleeves and its fabric is chiffon",
     ["her tank shirt has no sleeves chiffon fabric and graphic patterns"]),
    ("the the", ["the the the the"]),
]


def corpora(rng):
    """Sets of captions with references, by name."""
    def many(count, draw, most):
        return [image(rng, draw, most) for _ in range(count)]

    identical = [(text, [text]) for text in [clothing(rng) for _ in range(15)] + [scene(rng) for _ in range(15)]]
    listed = [(text, [ODD_TEXTS[(i + 1) % len(ODD_TEXTS)], text[: len(text) // 2]]) for i, text in enumerate(ODD_TEXTS)]
    return {
        "clothes": many(500, clothing, 1),
        "clothes_many_references": many(250, clothing, 6),
        "scenes": many(250, scene, 1),
        "scenes_many_references": many(550, scene, 5),
        "odd": many(300, odd, 1),
        "odd_many_references": many(300, odd, 4),
        "odd_listed": listed,
        "identical": identical,
        "empty_texts": empty_texts(),
        "one_image": [("a lady wears a red dress", ["a lady wears a blue dress"])],
        "one_image_equal": [("a lady wears a red dress", ["a lady wears a red dress"])],
        "golden": GOLDEN,
    }


def penn_texts(rng):
    """What the tokenizer is compared on: odd texts, abbreviations of every length, neighbours of every ASCII sign."""
    signs = [chr(c) for c in range(0x20, 0x7F)]
    pairs = [rng.choice(["a*b", "* b", "1*2", "a *", "B*. C"]).replace("*", x + y) for x in signs for y in signs]
    words = [word for piece in WORDS + PIECES for word in piece.split() if word.isalpha()]
    stopped = [rng.choice([str.lower, str.upper, str.capitalize])(rng.choice(words)) for _ in range(300)]
    letters = "abcdefghijklmnopqrstuvwxyz"
    short = ["".join(rng.choice(letters) for _ in range(rng.randint(1, 3))).capitalize() for _ in range(700)]
    stopped = [f"zz {word}. zz {word}.; {word}. 5 {word}.b {word}. The" for word in stopped + short]
    wide = [chr(c) for c in range(0x80, 0x10000) if not 0xD800 <= c < 0xE000 and chr(c) not in "\u0085\u2028\u2029"]
    characters = [f"a{c}b {c}1 -{c}" for c in rng.sample(wide, 700)]
    return ODD_TEXTS + [odd(rng).replace("\n", " ") for _ in range(4000)] + pairs + stopped + characters
