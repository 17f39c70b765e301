//! What people wear: which clothes, colours and fabrics go together, and how often.

use super::{
    Dye, Fabric, Hidden, Length, Lower, LowerGarment, Neckline, Outer, OuterGarment, Pattern, Person,
    Sleeves, Upper, Visible,
};
use crate::lab::colour::COLOURS;
use crate::random::Random;

/// The clothes of one person.
pub fn choose(random: &mut Random) -> (Visible, Hidden) {
    let person = if random.chance(0.65) { Person::Lady } else { Person::Man };
    let (upper, upper_fabric) = choose_upper(person, random);
    let (lower, lower_fabric) = choose_lower(person, upper.colour, random);
    let outer = random.chance(0.08).then(|| choose_outer(upper.colour, random));
    let visible = Visible {
        person,
        upper,
        lower,
        outer: outer.map(|(outer, _)| outer),
        hat: random.chance(0.12).then(|| any_dye(random)),
        glasses: random.chance(0.08),
        belt: lower.garment != LowerGarment::Skirt && outer.is_none() && random.chance(0.1),
        bag: (person == Person::Lady && random.chance(0.12)).then(|| any_dye(random)),
        necklace: upper.neckline != Neckline::Stand && random.chance(0.08),
        wristband: random.chance(0.1),
    };
    let hidden = Hidden {
        upper_fabric,
        lower_fabric,
        outer_fabric: outer.map(|(_, fabric)| fabric),
        ring: random.chance(0.1),
    };
    (visible, hidden)
}

fn choose_upper(person: Person, random: &mut Random) -> (Upper, Fabric) {
    use {Fabric::*, Neckline::*, Pattern::*};
    let sleeves = match person {
        Person::Lady => *random.pick(&[Sleeves::Sleeveless, Sleeves::Short, Sleeves::Long]),
        Person::Man => {
            *random.pick(&[Sleeves::Sleeveless, Sleeves::Short, Sleeves::Short, Sleeves::Long, Sleeves::Long])
        }
    };
    let neckline = match sleeves {
        Sleeves::Sleeveless => *random.pick(&[Round, VShape, VShape, Square]),
        Sleeves::Short => *random.pick(&[Round, Round, VShape, Square, Lapel]),
        Sleeves::Long => *random.pick(&[Round, VShape, Lapel, Stand]),
    };
    let fabric = match sleeves {
        Sleeves::Long if neckline == Lapel => *random.pick(&[Cotton, Cotton, Denim, Chiffon]),
        Sleeves::Long => *random.pick(&[Cotton, Cotton, Knitted]),
        _ => *random.pick(&[Cotton, Cotton, Cotton, Chiffon]),
    };
    let pattern =
        *random.pick(&[Solid, Solid, Solid, Solid, Striped, Striped, Dotted, Checked, Floral, Graphic]);
    // A collar and a print on the chest would hide each other.
    let pattern = if pattern == Graphic && neckline == Lapel { Solid } else { pattern };
    (Upper { sleeves, neckline, colour: dye_for(fabric, random), pattern }, fabric)
}

fn choose_lower(person: Person, upper: Dye, random: &mut Random) -> (Lower, Fabric) {
    use {Fabric::*, LowerGarment::*, Pattern::*};
    let garment = match person {
        Person::Lady => *random.pick(&[Trousers, Trousers, Shorts, Skirt, Skirt]),
        Person::Man => *random.pick(&[Trousers, Trousers, Shorts]),
    };
    let length = match garment {
        Trousers => *random.pick(&[Length::Long, Length::Long, Length::Long, Length::ThreeQuarter]),
        Shorts => Length::Short,
        Skirt => *random.pick(&[Length::Short, Length::ThreeQuarter, Length::Long]),
    };
    let fabric = match garment {
        Trousers => *random.pick(&[Denim, Denim, Cotton, Cotton, Cotton, Leather]),
        Shorts => *random.pick(&[Denim, Cotton, Cotton]),
        Skirt => *random.pick(&[Cotton, Cotton, Chiffon, Chiffon, Leather]),
    };
    let pattern = match fabric {
        Denim | Leather => Solid,
        _ => *random.pick(&[Solid, Solid, Solid, Striped, Checked, Floral, Dotted]),
    };
    let colour = unlike(upper, random, |random| dye_for(fabric, random));
    (Lower { garment, length, colour, pattern }, fabric)
}

fn choose_outer(upper: Dye, random: &mut Random) -> (Outer, Fabric) {
    use {Fabric::*, OuterGarment::*, Pattern::*};
    let garment = *random.pick(&[Cardigan, Jacket, Coat]);
    let fabric = match garment {
        Cardigan => *random.pick(&[Knitted, Cotton]),
        Jacket => *random.pick(&[Denim, Leather, Cotton]),
        Coat => *random.pick(&[Cotton, Furry]),
    };
    let pattern = *random.pick(&[Solid, Solid, Solid, Checked]);
    let colour = unlike(upper, random, |random| dye_for(fabric, random));
    (Outer { garment, colour, pattern }, fabric)
}

/// A colour that the fabric commonly has.
fn dye_for(fabric: Fabric, random: &mut Random) -> Dye {
    let words: &[&str] = match fabric {
        Fabric::Denim => &["blue", "blue", "blue", "black", "white", "gray"],
        Fabric::Leather => &["black", "black", "brown", "red"],
        _ => return any_dye(random),
    };
    let word = *random.pick(words);
    COLOURS.iter().find(|named| named.word == word).map_or_else(|| any_dye(random), |named| Dye(*named))
}

fn any_dye(random: &mut Random) -> Dye {
    Dye(*random.pick(&COLOURS))
}

/// A draw that differs from `other`, so that neighbouring clothes can be told apart.
fn unlike(other: Dye, random: &mut Random, draw: impl Fn(&mut Random) -> Dye) -> Dye {
    loop {
        let dye = draw(random);
        if dye != other {
            return dye;
        }
    }
}
