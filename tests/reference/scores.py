"""Makes tests/fixtures/scores/: what the Python packages say about captions that src/score scores.

    python tests/reference/scores.py /usr/share/wordnet [--seed N] [--out FOLDER] [--all-words]

The first folder is that of Debian's package wordnet-base, 1:3.0-37, with the files of WordNet 3.0.
Pinned: nltk 3.10.4, rouge_score 0.1.2, pycocoevalcap 1.2 (its tokenizer needs a Java runtime), numpy 2.
Python 3.11. Captions are drawn from a seed, so the files are the same every time. Another seed draws other captions;
with --all-words stems and synonyms are those of all of WordNet's words.
"""

import argparse
import gzip
import json
import random
import shutil
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

import penn
from score_texts import corpora, penn_texts
from scores_material import WORDS

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "scores"

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


def tokenised(texts):
    """The Treebank words of texts that stand in one file, as the COCO evaluation has them."""
    found = PTBTokenizer().tokenize({i: [{"caption": text}] for i, text in enumerate(texts)})
    return [found[i][0] for i in range(len(texts))]


def without_neighbours(items):
    """The items whose words are the same in a file of their own, and how many are not: see src/score/tokenize/penn.rs."""
    count = len(items)
    while True:
        kept = []
        references = [reference for _, references in items for reference in references]
        captions = [caption for caption, _ in items]
        together = iter(tokenised(references)), iter(tokenised(captions))
        apart = [iter(penn.tokens([text.replace("\n", " ") for text in texts])) for texts in (references, captions)]
        for item in items:
            same = [next(together[0]).split(" ") == (next(apart[0]) or [""]) for _ in item[1]]
            same.append(next(together[1]).split(" ") == (next(apart[1]) or [""]))
            kept.extend([item] if all(same) else [])
        if len(kept) == len(items):
            return items, count - len(kept)
        items = kept


def coco(items):
    references = iter(tokenised([reference for _, references in items for reference in references]))
    captions = iter(tokenised([caption for caption, _ in items]))
    items = [(next(captions), [next(references) for _ in of_image]) for _, of_image in items]
    out = coco_metrics(items, rouge=True)
    add_meteor(out, items)
    return out


def stems(seed, lemmas):
    rng = random.Random(f"stems {seed}")
    suffixes = (
        "s es ies sses ed eed ied ing ating bling izing y ational tional enci ency anci izer bli ably alli ally entli "
        "eli ousli ization ation ator alism iveness fulness ousness aliti ality iviti biliti ability fulli logi logy "
        "icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism "
        "ate iti ous ive ize e ll lling tted y yy"
    ).split()
    words = set(WORDS) | {"sky", "skies", "dying", "news", "innings", "succeed", "na\u00efve", "\u0130x\u0130ed"}
    letters = "aeiouybcdlmnrstwxz"
    while len(words) < 2500:
        middle = "".join(rng.choice(letters) for _ in range(rng.randint(0, 6)))
        words.add(middle + rng.choice(suffixes))
    words |= set(lemmas)
    stemmer = PorterStemmer()
    return {word: stemmer.stem(word) for word in sorted(words) if word}


def synonyms(seed, lemmas):
    """Words of the captions, their stems, and WordNet's own words, as they are, stemmed and with endings."""
    rng = random.Random(f"synonyms {seed}")
    stemmer = PorterStemmer()
    words = {word.lower() for word in [*WORDS, *lemmas]}
    words |= {stemmer.stem(word) for word in words}
    words |= {word + rng.choice(["s", "es", "ing", "ed", "er", "est", "men", "ies"]) for word in rng.sample(lemmas, 300)}
    words |= set("geese worn better feet axes men women dresses leaves einstein i x-ray bases-on-balls o'clock 's 1 best".split())
    return {word: names(word) for word in sorted(words)}


def write(folder, name, value):
    def plain(x):
        return float(x) if isinstance(x, np.floating) else x.tolist()

    def rounded(x):
        """Eleven decimals are enough for a comparison to nine."""
        if isinstance(x, dict):
            return {key: rounded(value) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [rounded(value) for value in x]
        return round(float(x), 11) if isinstance(x, float) else x

    text = json.dumps(rounded(value), ensure_ascii=True, default=plain, separators=(",", ":")) + "\n"
    (folder / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def write_all(folder, seed, all_words):
    sets, pairs, left_out = [], 0, 0
    for name, items in corpora(random.Random(seed)).items():
        items, dependent = without_neighbours(items)
        pairs, left_out = pairs + len(items), left_out + dependent
        sets.append({
            "name": name,
            "items": [{"caption": hyp, "references": refs} for hyp, refs in items],
            "original": original(items),
            "coco": coco(items),
        })
    print(f"{pairs} images; {left_out} left out since their words depend on the next caption of the file")
    write(folder, "sets.json.gz", sets)
    lemmas = sorted({name for name in wordnet.all_lemma_names() if "_" not in name})
    if not all_words:
        lemmas = random.Random(f"lemmas {seed}").sample(lemmas, 2500)
    write(folder, "stems.json.gz", stems(seed, lemmas))
    write(folder, "synonyms.json.gz", synonyms(seed, lemmas))
    texts = penn_texts(random.Random(f"penn {seed}"))
    write(folder, "penn.json.gz", list(zip(texts, map(" ".join, penn.tokens(texts)))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wordnet")
    parser.add_argument("--seed", type=int, default=20240229)
    parser.add_argument("--out", type=Path, default=FIXTURES)
    parser.add_argument("--all-words", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        open_wordnet(arguments.wordnet, folder)
        write_all(arguments.out, arguments.seed, arguments.all_words)


if __name__ == "__main__":
    main()
