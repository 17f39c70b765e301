"""Captions of every script and mishap, drawn at random."""

import unicodedata

WORDS = ("the a of with woman man shirt wears long-sleeved three-point t-shirt cotton fabric and solid color patterns neckline v-shape "
         "doesn't isn't they've I'm she's can't upper clothing, pants. skirt; hat: \"red\" 'blue' (green) 3/4 100% $20.50 #1 @home "
         "e.g. U.S.A. unbelievably antidisestablishmentarianism photograph-like x y z I'd we're do not don't").split()
ACCENTED = "café naïve rôle Ångström İstanbul straße Œuvre žluťoučký kůň ñandú Ğüzel ﬁne ½ ² ™ ﬆ ǅ ẞ ΐ ΣΑΣ Ǆ".split()
EXTREMES = {
    "cjk": [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0xF900, 0xFAFF), (0x3000, 0x303F)],
    "kana and hangul": [(0x3040, 0x30FF), (0xAC00, 0xD7A3), (0x1100, 0x11FF), (0xFF00, 0xFFEF)],
    "arabic and hebrew": [(0x590, 0x5FF), (0x600, 0x6FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF)],
    "thai and indic": [(0xE00, 0xE7F), (0x900, 0x97F), (0xB80, 0xBFF), (0x1780, 0x17FF)],
    "greek and cyrillic": [(0x370, 0x3FF), (0x400, 0x52F), (0x1F00, 0x1FFF)],
    "emoji": [(0x1F300, 0x1F6FF), (0x1F900, 0x1FAFF), (0x2600, 0x27BF), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF)],
    "combining": [(0x300, 0x36F), (0x61, 0x7A), (0x1AB0, 0x1AFF), (0x20D0, 0x20F0)],
    "punctuation": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0x2010, 0x205E), (0xA1, 0xBF), (0x3001, 0x3020)],
    "invisible": [(0x0, 0x1F), (0x7F, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F), (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFE00, 0xFE0F)],
    "letterlike": [(0x2100, 0x214F), (0x1D400, 0x1D7FF), (0x2460, 0x24FF), (0xC0, 0x24F), (0x1E00, 0x1EFF)],
    "anything": [(0x0, 0xD7FF), (0xE000, 0x10FFFF)],
}
LITERALS = "[SEP] [CLS] [PAD] [MASK] [UNK] [DEC] [ENC] [sep] [ SEP ] [[SEP]] <s> </s> ##ing ##s [unused1]".split()
JOINED = ("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f468\U0001f3fd\u200d\U0001f4bb", "\u2764\ufe0f", "\U0001f1eb\U0001f1f7", "e\u0301",
          "\u00e9", "\u1112\u1161\u11ab", "\ufffd", "\u00a0", "\u200b", "\ufeff", "'", "\u2019", "\u2014", "\u2013", "\u2010", "\u2011", "\u2026", "...", "--",
          "``", "''", "\u00ab \u00bb", "\u201e\u201c", "\r\n", "\t", "\n\n", "  ")
FIXED = ("", " ", "\t\n", "\u3000", "\u200b", "\0", "a", ".", "[SEP]", "x" * 99, "x" * 100, "x" * 101, "\u4e2d" * 101, "-" * 300, "e\u0301" * 60)


def captions(random, count, longest=10_000):
    """`count` captions: the fixed ones, a few of `longest` characters, and otherwise such as people and machines write."""
    result = list(FIXED[:count])
    result += [long_caption(random, longest) for _ in range(min(4, count // 100))]
    while len(result) < count:
        result.append(caption(random))
    return result


def caption(random):
    kind = int(random.integers(12))
    if kind < 4:
        return sentence(random, WORDS, int(random.integers(1, 15)))
    if kind == 4:
        return sentence(random, [*WORDS, *ACCENTED], int(random.integers(1, 10)))
    if kind == 5:
        return unicodedata.normalize(("NFD", "NFC", "NFKD", "NFKC")[random.integers(4)], sentence(random, ACCENTED, 4))
    if kind == 6:
        return sentence(random, [*WORDS[:9], *LITERALS], int(random.integers(1, 8)), ("", " ", " "))
    if kind == 7:
        return sentence(random, [*WORDS[:9], *JOINED], int(random.integers(1, 8)), ("", " "))
    if kind == 8:
        word = "".join(chr(int(c)) for c in random.integers(97, 123, int(random.integers(20, 130))))
        return f"{sentence(random, WORDS, 2)} {word} {word[:100]}"
    ranges = EXTREMES[list(EXTREMES)[random.integers(len(EXTREMES))]]
    if kind == 9:
        return characters(random, ranges, int(random.integers(1, 20)))
    pieces = [characters(random, ranges, int(random.integers(1, 8))) for _ in range(3)]
    return sentence(random, [*pieces, *WORDS[:12]], int(random.integers(2, 7)), ("", " ", " "))


def sentence(random, words, count, joints=(" ",)):
    text = ""
    for _ in range(count):
        word = words[random.integers(len(words))]
        match int(random.integers(8)):
            case 0:
                word = word.upper()
            case 1:
                word = word.capitalize()
        text += word + joints[random.integers(len(joints))]
    return text if random.random() < 0.2 else text.strip(" ")


def characters(random, ranges, count):
    low_high = [ranges[i] for i in random.integers(len(ranges), size=count)]
    return "".join(chr(int(random.integers(low, high + 1))) for low, high in low_high)


def long_caption(random, longest):
    match int(random.integers(3)):
        case 0:
            return "a" * longest
        case 1:
            return characters(random, EXTREMES["cjk"], 5) * (longest // 5)
    return (sentence(random, WORDS, 40) + " ") * (longest // 100)
