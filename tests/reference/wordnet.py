"""Makes assets/wordnet/synonyms.txt: what METEOR's synonym stage needs of WordNet 3.0, and no more.

    apt-get install wordnet-base        (1:3.0-37; the files of WordNet 3.0)
    python tests/reference/wordnet.py /usr/share/wordnet

The file is text, one line a record, sorted as bytes so that it can be searched as it is:

    # ...                   a remark, the copyright notice among them
    N geese goose           an irregular form and its base forms, for the part of speech in lower case
    n dog andiron cad ...   a word and the names of all its synsets of a part of speech: n, v, a or r

NLTK compares a word in lower case with the names of the synsets that it finds for another word. So names with
upper-case letters or several words never match and are left out, but a word (here in lower case) may be looked up
by one: it is then not among its own names. Words of several parts, such as `ice_cream`, can be looked up only as
the base of an irregular form.
"""

import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "assets" / "wordnet" / "synonyms.txt"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
NOTICE = """\
# Derived from WordNet 3.0 by tests/reference/wordnet.py. The licence is in the file LICENSE.
# WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.
"""


def records(path):
    with open(path, encoding="utf-8") as lines:
        return [line for line in lines if not line.startswith(" ")]


def synsets(folder, part):
    """The members of every synset, spelled as NLTK names them, without (a), (p) and (ip)."""
    for line in records(folder / f"data.{part}"):
        fields = line.split(" ")
        names = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        yield [name.split("(")[0] for name in names]


def check_index(folder, part, members):
    """NLTK finds synsets by the index file; the members of the data file must say the same."""
    listed = {line.split(" ")[0] for line in records(folder / f"index.{part}")}
    assert listed == {name.lower() for names in members for name in names}, part


def irregular_forms(folder, part):
    """One-word forms and their base forms. Where a form is listed twice NLTK keeps the last."""
    forms = {}
    for line in records(folder / f"{part}.exc"):
        form, *bases = line.split()
        forms[form] = bases
    return {form: bases for form, bases in sorted(forms.items()) if "_" not in form}


def names_by_word(members, irregular):
    """The names that a word leads to, over all of its synsets."""
    bases = {base for bases in irregular.values() for base in bases}
    found = {}
    for names in members:
        plain = {name for name in names if "_" not in name and name == name.lower()}
        leading = {name.lower() for name in names if "_" not in name or name.lower() in bases}
        for word in leading if plain else ():
            found.setdefault(word, set()).update(plain)
    return found


def main():
    folder = Path(sys.argv[1])
    lines = NOTICE.splitlines()
    for letter, part in PARTS.items():
        members = list(synsets(folder, part))
        check_index(folder, part, members)
        irregular = irregular_forms(folder, part)
        lines += [" ".join((letter.upper(), form, *bases)) for form, bases in irregular.items()]
        found = names_by_word(members, irregular)
        lines += [" ".join((letter, word, *sorted(names))) for word, names in found.items()]
    # Code points sort as their UTF-8 does, and every character of a word comes after the space.
    text = "\n".join(sorted(lines)) + "\n"
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET.stat().st_size} bytes, {len(lines)} lines")


if __name__ == "__main__":
    main()
