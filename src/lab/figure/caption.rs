//! Captions of the figures: several sentences with a fixed structure and varied wording.
//!
//! The manner is that of the DeepFashion-MultiModal captions: upper clothing, neckline, lower clothing, outer
//! clothing, accessories; stock phrases that recur within a caption; names and fabrics that the picture does
//! not show. Unlike most of those, these captions name colours, so that pictures matter.

use super::{
    Dye, Fabric, Hidden, Length, Lower, LowerGarment, Neckline, Outer, OuterGarment, Pattern, Person,
    Sleeves, Upper, Visible,
};
use crate::lab::colour::with_article;
use crate::random::Random;

/// The caption of a figure.
pub fn write(visible: &Visible, hidden: &Hidden, random: &mut Random) -> String {
    let voice = Voice::choose(visible.person, random);
    let upper = voice.upper(&visible.upper, hidden.upper_fabric, random);
    let lower = voice.lower(&visible.lower, hidden.lower_fabric, random);
    let mut sentences = if random.chance(0.8) { vec![upper, lower] } else { vec![lower, upper] };
    if let (Some(outer), Some(fabric)) = (&visible.outer, hidden.outer_fabric) {
        sentences.push(voice.outer(outer, fabric, random));
    }
    sentences.extend(voice.accessories(visible, hidden, random));
    sentences.join(" ")
}

/// How the caption speaks of the person.
struct Voice {
    /// Begins a sentence: "This lady".
    subject: &'static str,
    /// Within a sentence: "the lady".
    object: &'static str,
    /// "her", "his".
    possessive: &'static str,
}

impl Voice {
    fn choose(person: Person, random: &mut Random) -> Self {
        let (possessive, names) = match person {
            Person::Lady => (
                "her",
                [
                    ("This lady", "the lady"),
                    ("The lady", "this lady"),
                    ("This woman", "this woman"),
                    ("The female", "the female"),
                    ("The person", "this person"),
                ],
            ),
            Person::Man => (
                "his",
                [
                    ("This man", "the man"),
                    ("The man", "this man"),
                    ("The guy", "the guy"),
                    ("The gentleman", "this gentleman"),
                    ("This person", "the person"),
                ],
            ),
        };
        let (subject, object) = *random.pick(&names);
        Self { subject, object, possessive }
    }

    fn upper(&self, upper: &Upper, fabric: Fabric, random: &mut Random) -> String {
        let garment = upper_word(upper, random);
        let fabric = fabric_word(fabric);
        let looks = looks(upper.colour, upper.pattern, random);
        let sleeves = match upper.sleeves {
            Sleeves::Sleeveless => *random.pick(&["no sleeves", "sleeves cut off"]),
            Sleeves::Short => "short sleeves",
            Sleeves::Long => "long sleeves",
        };
        let cut = match upper.sleeves {
            Sleeves::Sleeveless => "sleeveless",
            Sleeves::Short => "short-sleeve",
            Sleeves::Long => "long-sleeve",
        };
        let Self { subject, possessive, .. } = self;
        let body = match random.below(5) {
            0 | 1 => format!("The upper clothing has {sleeves}, {fabric} fabric and {looks}."),
            2 => format!("{} {garment} has {sleeves}, {fabric} fabric and {looks}.", capitalised(possessive)),
            3 => format!(
                "{subject} wears a {cut} {garment} with {looks}. The {garment} is with {fabric} fabric."
            ),
            _ => format!("{subject} is wearing a {cut} {garment} with {looks} and {fabric} fabric."),
        };
        format!("{body} {}", neckline_sentence(upper.neckline, garment, random))
    }

    fn lower(&self, lower: &Lower, fabric: Fabric, random: &mut Random) -> String {
        let (garment, are, have) = match lower.garment {
            LowerGarment::Trousers => (*random.pick(&["trousers", "pants"]), "are", "have"),
            LowerGarment::Shorts => ("shorts", "are", "have"),
            LowerGarment::Skirt => ("skirt", "is", "has"),
        };
        let length = match lower.length {
            Length::Short if lower.garment == LowerGarment::Shorts => "three-point",
            Length::Short => *random.pick(&["three-point", "short"]),
            Length::ThreeQuarter => "three-quarter",
            Length::Long => "long",
        };
        let fabric = fabric_word(fabric);
        let looks = looks(lower.colour, lower.pattern, random);
        let Self { subject, object, possessive } = self;
        match random.below(5) {
            0 | 1 => format!(
                "The lower clothing is of {length} length. The fabric is {fabric} and it has {looks}."
            ),
            2 => format!(
                "The {garment} {object} wears {are} of {length} length. The {garment} {are} with {fabric} fabric and {looks}."
            ),
            3 => format!(
                "{} {garment} {are} of {length} length. The {garment} {have} {fabric} fabric and {looks}.",
                capitalised(possessive)
            ),
            _ if are == "is" => {
                format!("{subject} wears a {length} {garment}, with {fabric} fabric and {looks}.")
            }
            _ => format!("{subject} wears {length} {garment}, with {fabric} fabric and {looks}."),
        }
    }

    fn outer(&self, outer: &Outer, fabric: Fabric, random: &mut Random) -> String {
        let garment = match outer.garment {
            OuterGarment::Cardigan => "cardigan",
            OuterGarment::Jacket => "jacket",
            OuterGarment::Coat => "coat",
        };
        let fabric = fabric_word(fabric);
        let looks = looks(outer.colour, outer.pattern, random);
        let Self { subject, possessive, .. } = self;
        match random.below(3) {
            0 => format!("{subject} also wears an outer clothing, with {fabric} fabric and {looks}."),
            1 => format!("The outer clothing is a {garment} with {fabric} fabric and {looks}."),
            _ => format!("{} {garment} has {fabric} fabric and {looks}.", capitalised(possessive)),
        }
    }

    /// A short sentence for each accessory; some are passed over, as people do.
    fn accessories(&self, visible: &Visible, hidden: &Hidden, random: &mut Random) -> Vec<String> {
        let Self { subject, possessive, .. } = self;
        let mut sentences = Vec::new();
        let mut mention = |forms: [String; 2]| {
            if !random.chance(OMITTED) {
                sentences.push(one_of(random, forms));
            }
        };
        if let Some(Dye(hat)) = visible.hat {
            let hat = with_article(hat.word, "hat");
            mention([format!("{subject} wears {hat}."), format!("There is {hat} on {possessive} head.")]);
        }
        if visible.glasses {
            mention([
                format!("{subject} wears a pair of sunglasses."),
                format!("There is a pair of sunglasses on {possessive} face."),
            ]);
        }
        if visible.necklace {
            mention([
                format!("{subject} wears a necklace."),
                format!("There is an accessory on {possessive} neck."),
            ]);
        }
        if visible.belt {
            mention([format!("{subject} wears a belt."), format!("There is a belt on {possessive} waist.")]);
        }
        if let Some(Dye(bag)) = visible.bag {
            let bag = with_article(bag.word, "bag");
            mention([format!("{subject} carries {bag}."), format!("There is {bag} in {possessive} hand.")]);
        }
        if visible.wristband {
            mention([
                format!("There is an accessory on {possessive} wrist."),
                format!("{subject} has an accessory on {possessive} wrist."),
            ]);
        }
        if hidden.ring {
            mention([
                format!("There is a ring on {possessive} finger."),
                format!("{subject} wears a ring on {possessive} finger."),
            ]);
        }
        sentences
    }
}

/// Share of accessories that a caption passes over.
const OMITTED: f64 = 0.1;

fn neckline_sentence(neckline: Neckline, garment: &str, random: &mut Random) -> String {
    let neckline = match neckline {
        Neckline::Round => *random.pick(&["round", "round", "crew"]),
        Neckline::VShape => "v-shape",
        Neckline::Square => "square",
        Neckline::Lapel => "lapel",
        Neckline::Stand => "stand",
    };
    one_of(
        random,
        [
            format!("The neckline of it is {neckline}."),
            format!("It has a {neckline} neckline."),
            format!("The neckline of the {garment} is {neckline}."),
        ],
    )
}

/// Colour and pattern in words, such as "red striped patterns".
fn looks(Dye(colour): Dye, pattern: Pattern, random: &mut Random) -> String {
    let pattern = match pattern {
        Pattern::Solid => *random.pick(&["solid color", "solid color", "pure color"]),
        Pattern::Striped => *random.pick(&["striped", "stripe"]),
        Pattern::Dotted => *random.pick(&["dotted", "dot"]),
        Pattern::Checked => *random.pick(&["plaid", "lattice"]),
        Pattern::Floral => *random.pick(&["floral", "flower"]),
        Pattern::Graphic => "graphic",
    };
    format!("{} {pattern} patterns", colour.word)
}

fn upper_word(upper: &Upper, random: &mut Random) -> &'static str {
    let words: &[&'static str] = match (upper.sleeves, upper.neckline) {
        (Sleeves::Sleeveless, _) => &["tank top", "tank shirt", "vest"],
        (_, Neckline::Lapel) => &["shirt", "blouse"],
        (Sleeves::Short, _) => &["T-shirt", "T-shirt", "shirt"],
        (Sleeves::Long, Neckline::Stand) => return "sweater",
        (Sleeves::Long, _) => &["sweater", "shirt", "T-shirt"],
    };
    let word: &&'static str = random.pick(words);
    word
}

fn fabric_word(fabric: Fabric) -> &'static str {
    match fabric {
        Fabric::Cotton => "cotton",
        Fabric::Denim => "denim",
        Fabric::Chiffon => "chiffon",
        Fabric::Knitted => "knitting",
        Fabric::Leather => "leather",
        Fabric::Furry => "furry",
    }
}

/// The word with a capital first letter.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn one_of<const N: usize>(random: &mut Random, forms: [String; N]) -> String {
    random.pick(&forms).clone()
}
