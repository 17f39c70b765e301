"""Makes tests/fixtures/scores/*.json: what the Python packages say about captions that src/score scores.

    python tests/reference/scores.py /usr/share/wordnet

The folder is that of Debian's package wordnet-base, 1:3.0-37, with the files of WordNet 3.0.
Pinned: nltk 3.10.4, rouge_score 0.1.2, pycocoevalcap 1.2 (its tokenizer needs a Java runtime), numpy 2.
Python 3.11. Captions are drawn from a seed out of made-up material, so the files are the same every time.
"""

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import nltk
import numpy as np
from nltk.corpus import wordnet
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from rouge_score import rouge_scorer

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "scores"

# Texts in which src/score/tokenize must find the words that Stanford's tokenizer finds.
ODD_TEXTS = [
    "The upper clothing has long sleeves, cotton fabric and solid color patterns. It is v-shape.",
    "a model wearing a short - sleeve t - shirt with a crew - neckline.",
    "She wears a T-shirt (v-neck); it isn't hers, it's the girls' one: 3/4 sleeves!",
    "black/white/red and/or t-shirt/jeans w/o belt, 50% off at $20.50 or $5",
    "I can't, won't, don't; they'll, we've, he'd, I'm cannot gonna wanna gotta",
    "Mr. Smith vs. Dr. No at 5 p.m. in the U.S. army etc. No. 5 e.g. this",
    "he said \"hello\" and 'good bye', then \u201cleft\u201d \u2018early\u2019 \u2014 isn\u2019t it\u2026",
    "a 5 7/8 inch heel, 1,000 steps, 10:30 on 12/25/2019, 2-3 people, -5 degrees, 1990s",
    "[sic] {braces} <b>bold</b> a < b > c & d &amp; e * f ** g = h + i ~ j | k ^ l \\ m",
    "fine.The dog runs..and the cat...sits. what?! no!! yes? u.s.-made off-the-shoulder",
    "caf\u00e9 na\u00efve d\u00e9j\u00e0-vu \u65e5\u672c\u8a9e \u043f\u0440\u0438\u0432\u0435\u0442 \U0001f389 \u00bd cup \u00a35 \u20ac5 10\u00b0",
    "rock'n'roll o'clock y'all 'tis d'or l'amour '90s 'em 50's mother-in-law's",
    "www.example.com or me@example.com, see http://example.com/a?b=c. #tag @user a_b",
    ":) a smile --- dash -- dash - dash word--word 6'2\" 36\" x 24\" c++ ph.d. co.",
    "tab\tand  double space   and\u00a0no-break space",
]

WORDS = (
    "the a lady woman female person wears is wearing with has and of it shirt sweater pants trousers skirt dress "
    "short long sleeve sleeves sleeveless medium cotton denim chiffon leather fabric pure solid color colors "
    "graphic striped lattice floral patterns pattern neckline round v-shape crew three-point three-quarter there "
    "ring rings finger fingers neck accessory accessories on her his wrist hat socks shoes belts belted dresses "
    "covering covered complicated clothing clothes upper lower outer also these this these T-shirt The Her A "
    "stylish fashionably ladies running generally organization relational happily jumper frock garment apparel "
    "collar necklace coat jacket big large small little picture photo man guy dog domestic stand holding street road"
).split()


LEXICOGRAPHER_FILES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition "
    "noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object "
    "noun.person noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape "
    "noun.state noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition "
    "verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession "
    "verb.social verb.stative verb.weather adj.ppl"
).split()


def open_wordnet(source, folder):
    """Lets NLTK read the package's files, with the two that it wants besides: the second may be empty."""
    corpus = Path(folder) / "corpora" / "wordnet"
    shutil.copytree(source, corpus)
    numbers = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
    lines = [f"{i:02}\t{name}\t{numbers[name.split('.')[0]]}\n" for i, name in enumerate(LEXICOGRAPHER_FILES)]
    (corpus / "lexnames").write_text("".join(lines))
    (corpus / "index.sense").touch()
    nltk.data.path.insert(0, str(folder))
    assert wordnet.get_version() == "3.0"


def names(word):
    """What NLTK's METEOR compares with, less what can never equal a word in lower case."""
    found = {lemma.name() for synset in wordnet.synsets(word) for lemma in synset.lemmas()}
    return sorted(name for name in found if "_" not in name and name == name.lower())


def caption(rng, shortest=3, longest=40):
    words = [rng.choice(WORDS) for _ in range(rng.randint(shortest, longest))]
    return punctuated(rng, words)


def punctuated(rng, words):
    text = ""
    for word in words:
        text += word + rng.choice([" "] * 12 + [", ", ". ", " - "])
    return text.strip() + rng.choice(["", ".", " .", "!"])


def reworded(rng, text):
    """A caption that shares much with another: words dropped, swapped, replaced and moved."""
    words = text.split()
    words = [w for w in words if rng.random() > 0.15]
    words = [rng.choice(WORDS) if rng.random() < 0.2 else w for w in words]
    if len(words) > 4 and rng.random() < 0.5:
        cut = rng.randrange(1, len(words))
        words = words[cut:] + words[:cut]
    return " ".join(words).lower() if rng.random() < 0.5 else " ".join(words)


def corpora():
    rng = random.Random(20240229)
    many = []
    for _ in range(40):
        first = caption(rng)
        references = [first] + [reworded(rng, first) for _ in range(rng.randint(0, 4))]
        many.append((reworded(rng, first), references))
    single = []
    for _ in range(30):
        reference = caption(rng, 30, 90)
        single.append((reworded(rng, reference), [reference]))
    odd = [(text, [ODD_TEXTS[(i + 1) % len(ODD_TEXTS)], text[: len(text) // 2]]) for i, text in enumerate(ODD_TEXTS)]
    empty = [
        ("", ["a red dress"]),
        ("a red dress", [""]),
        ("", [""]),
        (" . , ", ["a red dress", "..."]),
        ("the the the", ["the the", "the"]),
        ("a", ["a"]),
        ("\U0001f389", ["\U0001f389 \u4e2d\u6587", "\u4e2d\u6587"]),
        ("A red Dress", ["a red dress", "A Red dress"]),
    ]
    return {
        "many_references": many,
        "one_reference": single,
        "odd_characters": odd,
        "empty_texts": empty,
        "one_image": [("a lady wears a red dress", ["a lady wears a blue dress"])],
        "golden": [
            ("this woman wears a short sleeve shirt with solid color patterns",
             ["the lady wears a short sleeve t shirt with pure color patterns"]),
            ("the trousers are cotton and the patterns are solid color",
             ["the pants are with cotton fabric and solid color patterns"]),
            ("the tank top this female wears has no sleeves and its fabric is chiffon",
             ["her tank shirt has no sleeves chiffon fabric and graphic patterns"]),
            ("the the", ["the the the the"]),
        ],
    }


def penn(texts):
    tokenized = PTBTokenizer().tokenize({i: [{"caption": t}] for i, t in enumerate(texts)})
    return [tokenized[i][0] for i in range(len(texts))]


def coco_metrics(items, rouge):
    gts = {i: list(refs) for i, (_, refs) in enumerate(items)}
    res = {i: [hyp] for i, (hyp, _) in enumerate(items)}
    bleu, per_bleu = Bleu(4).compute_score(gts, res, verbose=0)
    cider, per_cider = Cider().compute_score(gts, res)
    out = {"bleu": bleu, "cider_d": cider, "per_bleu": list(zip(*per_bleu)), "per_cider_d": list(per_cider)}
    if rouge:
        out["rouge_l"], per = Rouge().compute_score(gts, res)
        out["per_rouge_l"] = list(per)
    return out


def add_meteor(out, items):
    out["per_meteor"] = [meteor_score([r.split() for r in refs], hyp.split()) for hyp, refs in items]
    out["meteor"] = float(np.mean(out["per_meteor"]))


def original(items):
    out = coco_metrics(items, rouge=False)
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    out["per_rouge_l"] = [scorer.score_multi(refs, hyp)["rougeL"].fmeasure for hyp, refs in items]
    out["rouge_l"] = float(np.mean(out["per_rouge_l"]))
    add_meteor(out, items)
    return out


def coco(items):
    texts = [t for hyp, refs in items for t in [hyp] + list(refs)]
    words = iter(penn(texts))
    items = [(next(words), [next(words) for _ in refs]) for _, refs in items]
    out = coco_metrics(items, rouge=True)
    add_meteor(out, items)
    return out


def stems():
    rng = random.Random(7)
    suffixes = (
        "s es ies sses ed eed ied ing ating bling izing y ational tional enci ency anci izer bli ably alli ally entli "
        "eli ousli ization ation ator alism iveness fulness ousness aliti ality iviti biliti ability fulli logi logy "
        "icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism "
        "ate iti ous ive ize e ll lling tted y yy"
    ).split()
    words = set(WORDS) | {"sky", "skies", "dying", "news", "innings", "succeed", "na\u00efve", "\u0130x\u0130ed"}
    letters = "aeiouybcdlmnrstwxz"
    while len(words) < 1500:
        middle = "".join(rng.choice(letters) for _ in range(rng.randint(0, 6)))
        words.add(middle + rng.choice(suffixes))
    stemmer = PorterStemmer()
    return {word: stemmer.stem(word) for word in sorted(words) if word}


def write(name, value):
    def plain(x):
        return float(x) if isinstance(x, np.floating) else x.tolist()

    text = json.dumps(value, ensure_ascii=True, default=plain, separators=(",", ":"))
    (FIXTURES / name).write_text(text + "\n")


def synonyms():
    """Words of the captions, their stems, and a sample of WordNet's own words and irregular forms."""
    rng = random.Random(11)
    stemmer = PorterStemmer()
    words = {stemmer.stem(word) for word in WORDS} | {word.lower() for word in WORDS}
    lemmas = sorted({name for name in wordnet.all_lemma_names() if "_" not in name})
    words |= set(rng.sample(lemmas, 250)) | {stemmer.stem(word) for word in rng.sample(lemmas, 250)}
    words |= {word + ending for word in rng.sample(lemmas, 120) for ending in [rng.choice(["s", "es", "ing", "ed"])]}
    words |= set("geese worn better feet axes men women dresses leaves einstein i x-ray bases-on-balls o'clock 's 1 best".split())
    return {word: names(word) for word in sorted(words)}


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        open_wordnet(sys.argv[1], folder)
        write_all()


def write_all():
    sets = []
    for name, items in corpora().items():
        sets.append({
            "name": name,
            "items": [{"caption": hyp, "references": refs} for hyp, refs in items],
            "original": original(items),
            "coco": coco(items),
        })
    write("sets.json", sets)
    write("stems.json", stems())
    write("synonyms.json", synonyms())
    write("penn.json", [[text, words] for text, words in zip(ODD_TEXTS, penn(ODD_TEXTS))])


if __name__ == "__main__":
    main()
