//! Tests of [`super`] on captions; pictures are compared in the test of the whole program, which has some.

use super::*;

fn set(name: &'static str, captions: &[(&str, &[&str])]) -> Set {
    let sample = |(image, captions): &(&str, &[&str])| Sample {
        image: (*image).to_owned(),
        captions: captions.iter().map(|caption| (*caption).to_owned()).collect(),
        picture: Err(Unusable::Missing),
    };
    Set { name, samples: captions.iter().map(sample).collect() }
}

/// What was found of captions, by image.
fn found(set: &Set) -> Vec<(Kind, String)> {
    let faults = check(std::slice::from_ref(set), 1).faults;
    let of_captions = faults.into_iter().filter(|fault| fault.kind > Kind::LeakedImage);
    of_captions.map(|fault| (fault.kind, fault.image)).collect()
}

/// So many ordinary captions.
fn ordinary(count: usize) -> Vec<(String, String)> {
    let colours = ["red", "green", "blue", "white"];
    let clothes = ["dress", "shirt", "coat", "skirt", "hat"];
    let caption = |index: usize| {
        let (colour, cloth) = (colours[index % 4], clothes[index % 5]);
        format!("The person is wearing a {colour} {cloth} with short sleeves in the sun.")
    };
    (0..count).map(|index| (format!("{index}.png"), caption(index))).collect()
}

fn with_ordinary(odd: &[(&str, &[&str])]) -> Set {
    let ordinary = ordinary(60);
    let captions: Vec<[&str; 1]> = ordinary.iter().map(|(_, caption)| [caption.as_str()]).collect();
    let mut all: Vec<(&str, &[&str])> =
        ordinary.iter().zip(&captions).map(|((image, _), caption)| (image.as_str(), &caption[..])).collect();
    all.extend_from_slice(odd);
    set("train", &all)
}

#[test]
fn ordinary_captions_are_not_faulty() {
    assert_eq!(found(&with_ordinary(&[])), []);
}

#[test]
fn captions_without_words_repeated_ones_and_endless_ones_are_found() {
    let endless = "red dress, ".repeat(200);
    let odd: [(&str, &[&str]); 4] = [
        ("none", &[]),
        ("blank", &[" \n"]),
        ("twice", &["The person is wearing a red dress.", "The person is wearing a red dress. "]),
        ("endless", &[&endless]),
    ];
    let expected = [
        (Kind::EmptyCaption, "none"),
        (Kind::EmptyCaption, "blank"),
        (Kind::RepeatedCaption, "twice"),
        (Kind::OverlongCaption, "endless"),
        (Kind::UnusualLength, "endless"),
    ];
    assert_eq!(found(&with_ordinary(&odd)), expected.map(|(kind, image)| (kind, image.to_owned())));
}

#[test]
fn captions_in_another_language_are_found_and_foreign_names_are_not() {
    let odd: [(&str, &[&str]); 8] = [
        ("german", &["Die Frau trägt ein rotes Kleid mit kurzen Ärmeln und einen Hut."]),
        ("french", &["La femme porte une robe rouge avec des manches courtes."]),
        ("spanish", &["La mujer lleva un vestido rojo con mangas cortas."]),
        ("russian", &["Женщина в красном платье."]),
        ("chinese", &["一位穿红色连衣裙的女士"]),
        ("brand", &["The person is wearing a dress of La Perla in the sun."]),
        ("menu", &["A person with a hat a la mode is in the sun."]),
        ("short", &["red dress"]),
    ];
    let languages: Vec<String> = found(&with_ordinary(&odd))
        .into_iter()
        .filter(|(kind, _)| *kind == Kind::OtherLanguage)
        .map(|(_, image)| image)
        .collect();
    assert_eq!(languages, ["german", "french", "spanish", "russian", "chinese"]);
    let checked = check(&[with_ordinary(&odd)], 1);
    let why = |image: &str| {
        &checked.faults.iter().find(|f| f.image == image && f.kind == Kind::OtherLanguage).unwrap().why
    };
    assert_eq!(why("german"), "it seems to be German; most captions are English");
    assert_eq!(why("chinese"), "it seems to be Chinese or Japanese; most captions are English");
}

#[test]
fn the_usual_language_is_that_of_most_captions() {
    let german = ["Die Frau trägt ein rotes Kleid und einen Hut.", "Der Mann mit dem Mantel ist im Park."];
    let mut captions: Vec<(String, [&str; 1])> =
        (0..20).map(|index| (format!("{index}.png"), [german[index % 2]])).collect();
    captions.push(("english".to_owned(), ["The man with the coat is in the park."]));
    let borrowed: Vec<(&str, &[&str])> =
        captions.iter().map(|(image, one)| (image.as_str(), &one[..])).collect();
    let set = set("train", &borrowed);
    let odd: Vec<String> = found(&set)
        .into_iter()
        .filter(|(kind, _)| *kind == Kind::OtherLanguage)
        .map(|(_, image)| image)
        .collect();
    assert_eq!(odd, ["english"]);
}

#[test]
fn unusual_lengths_and_words_are_told_and_kept() {
    let long = "The person is wearing a red dress with short sleeves in the sun. ".repeat(6);
    let odd: [(&str, &[&str]); 4] = [
        ("long", &[&long]),
        ("short", &["dress"]),
        ("words", &["Quasar nebula parallax observed through telescope optics"]),
        ("name", &["The person is wearing a red Balenciaga dress with short sleeves in the sun."]),
    ];
    let set = with_ordinary(&odd);
    let expected =
        [(Kind::UnusualLength, "long"), (Kind::UnusualLength, "short"), (Kind::UnusualWords, "words")];
    assert_eq!(found(&set), expected.map(|(kind, image)| (kind, image.to_owned())));
    let checked = check(std::slice::from_ref(&set), 1);
    let why = &checked.faults.iter().find(|fault| fault.kind == Kind::UnusualWords).unwrap().why;
    assert_eq!(
        why,
        "7 of its 7 words are in no other caption: nebula, observed, optics, parallax, quasar, ..."
    );
    let (entries, removals) = cleaned(&set, &checked, &[Kind::MissingImage]);
    assert_eq!((entries.len(), removals.len()), (64, 0));
}

#[test]
fn a_cleaned_copy_has_a_reason_for_all_that_is_missing() {
    let odd: [(&str, &[&str]); 4] = [
        ("twice", &["The red dress.", "The red dress.", "A red dress."]),
        ("blank", &[""]),
        ("none", &[]),
        ("0.png", &["The same name again."]),
    ];
    let set = with_ordinary(&odd);
    let checked = check(std::slice::from_ref(&set), 1);
    let (entries, removals) = cleaned(&set, &checked, &[Kind::MissingImage]);
    assert_eq!(entries.len(), 61);
    assert_eq!(entries[60].captions, ["The red dress.", "A red dress."]);
    let reasons: Vec<[&str; 3]> =
        removals.iter().map(|one| [one.image.as_str(), one.caption.as_str(), one.kind]).collect();
    let expected = [
        ["twice", "The red dress.", "repeated_caption"],
        ["blank", "", "empty_caption"],
        ["none", "", "empty_caption"],
        ["0.png", "The same name again.", "repeated_name"],
    ];
    assert_eq!(reasons, expected);
    let (entries, removals) = cleaned(&set, &checked, &[]);
    assert_eq!((entries.len(), removals.len()), (0, 60 + 6), "there are no pictures at all");
}

#[test]
fn what_all_captions_and_names_are_like_is_noted() {
    let mut images: Vec<(String, [&str; 1])> =
        (0..40).map(|index| (format!("dress_{index}.png"), ["The upper clothing is red."])).collect();
    images.push(("hat_1.png".to_owned(), ["A hat of another kind."]));
    let borrowed: Vec<(&str, &[&str])> =
        images.iter().map(|(image, one)| (image.as_str(), &one[..])).collect();
    let notes = check(&[set("train", &borrowed)], 1).notes;
    let kinds: Vec<&str> = notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, ["templated_captions", "shared_captions", "unbalanced_groups"]);
    assert!(notes[0].meaning.contains("98 % with `the upper clothing`"), "{}", notes[0].meaning);
    assert!(
        notes[1].meaning.contains("the commonest with 40: `The upper clothing is red.`"),
        "{}",
        notes[1].meaning
    );
    assert!(notes[2].meaning.contains("2 kinds, 98 % of them `dress` and 2 % `hat`"), "{}", notes[2].meaning);
    let few = check(&[set("train", &borrowed[..20])], 1).notes;
    assert_eq!(few.iter().map(|note| note.kind).collect::<Vec<_>>(), ["shared_captions"]);
}
