//! What raters see: pictures in random order, each with the captions of all systems in an order of its own.

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::System;
use crate::random::Random;

/// Rises whenever files that the page exports could be misread by an older reader.
pub const VERSION: u64 = 1;
/// Seed of all draws: a sheet made again is the same, so that raters may join later.
const SEED: u64 = 0;

/// The data of a rating page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sheet {
    pub v: u64,
    pub sweep: String,
    /// Digest of what is rated: two pages of one digest ask the same.
    pub page: String,
    /// Names of the systems; captions name them by place.
    pub systems: Vec<String>,
    pub pictures: Vec<Picture>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    pub image: String,
    /// A data URL.
    pub url: String,
    /// As shown: A, B, ...
    pub captions: Vec<Caption>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caption {
    pub system: usize,
    pub text: String,
}

impl Sheet {
    /// Draws at most `count` of the images that every system captioned and that `show` has a picture of. The error says
    /// why there is nothing to rate.
    pub fn draw(
        sweep: &str,
        systems: &[System],
        count: usize,
        show: impl Fn(&str) -> Result<String, String> + Sync,
    ) -> Result<Self, String> {
        let [first, others @ ..] = systems else { return Err("no model has captions".to_owned()) };
        if others.is_empty() {
            return Err(format!("only {} has captions; two models can be compared", first.label));
        }
        let has_all = |image: &&str| others.iter().all(|system| system.captions.contains_key(image));
        let mut images: Vec<&str> = first.captions.keys().copied().filter(has_all).collect();
        Random::new(SEED, "rating images", &[]).shuffle(&mut images);
        let shown = shown(&images, count, show)?;
        let pictures: Vec<Picture> = shown
            .into_iter()
            .enumerate()
            .map(|(place, (image, url))| Picture {
                captions: captions(systems, image, place),
                image: image.to_owned(),
                url,
            })
            .collect();
        let systems: Vec<String> = systems.iter().map(|system| system.name.clone()).collect();
        Ok(Self {
            v: VERSION,
            sweep: sweep.to_owned(),
            page: digest(sweep, &systems, &pictures),
            systems,
            pictures,
        })
    }
}

/// The first `count` images that have a picture, with it.
fn shown<'a>(
    images: &[&'a str],
    count: usize,
    show: impl Fn(&str) -> Result<String, String> + Sync,
) -> Result<Vec<(&'a str, String)>, String> {
    let mut shown = Vec::new();
    let mut reason = "the models have no image in common".to_owned();
    for some in images.chunks(count.max(1)) {
        let tried: Vec<_> = some.par_iter().map(|image| (*image, show(image))).collect();
        for (image, picture) in tried {
            match picture {
                Ok(url) => shown.push((image, url)),
                Err(error) => reason = error,
            }
        }
        if shown.len() >= count {
            break;
        }
    }
    shown.truncate(count);
    if shown.is_empty() { Err(reason) } else { Ok(shown) }
}

/// What all systems say of an image, shuffled.
fn captions(systems: &[System], image: &str, place: usize) -> Vec<Caption> {
    let said = systems.iter().enumerate().filter_map(|(system, who)| {
        let text = who.captions.get(image)?;
        Some(Caption { system, text: (*text).to_owned() })
    });
    let mut captions: Vec<Caption> = said.collect();
    Random::new(SEED, "rating order", &[place as u64]).shuffle(&mut captions);
    captions
}

fn digest(sweep: &str, systems: &[String], pictures: &[Picture]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(sweep);
    systems.iter().for_each(|system| add(system));
    for picture in pictures {
        add(&picture.image);
        for caption in &picture.captions {
            add(&caption.system.to_string());
            add(&caption.text);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A system without scores.
    pub(in crate::report::rating) fn system<'a>(name: &str, captions: &[(&'a str, &'a str)]) -> System<'a> {
        System {
            name: name.to_owned(),
            label: name.to_uppercase(),
            is_base: false,
            captions: captions.iter().copied().collect(),
            scores: Default::default(),
        }
    }

    fn show(image: &str) -> Result<String, String> {
        if image == "broken" { Err("broken: no picture".to_owned()) } else { Ok(format!("data:{image}")) }
    }

    #[test]
    fn every_picture_has_every_systems_caption_in_an_order_of_its_own() {
        let names: Vec<String> = (0..60).map(|number| format!("{number}.png")).collect();
        let said: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let systems = [system("a", &said), system("b", &said[..50])];
        let sheet = Sheet::draw("s", &systems, 40, show).unwrap();
        assert_eq!(sheet, Sheet::draw("s", &systems, 40, show).unwrap());
        assert_eq!(sheet.pictures.len(), 40);
        let mut images: Vec<&str> = sheet.pictures.iter().map(|picture| picture.image.as_str()).collect();
        assert!(!images.is_sorted(), "the images stand in their own order");
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 40);
        let first = sheet.pictures.iter().filter(|picture| picture.captions[0].system == 0).count();
        assert!((10..=30).contains(&first), "system 0 is first on {first} of 40");
    }

    #[test]
    fn the_digest_is_that_of_what_is_rated() {
        let page = |text: &str, count| {
            let systems = [system("a", &[("1", text), ("2", "y")]), system("b", &[("1", "x"), ("2", "y")])];
            Sheet::draw("s", &systems, count, show).unwrap().page
        };
        assert_eq!(page("x", 2), page("x", 3));
        assert_ne!(page("x", 2), page("z", 2));
        assert_ne!(page("x", 2), page("x", 1));
        assert_eq!(page("x", 2).len(), 16);
    }

    #[test]
    fn images_without_a_picture_are_passed_over_and_nothing_to_rate_is_said() {
        let said = [("broken", "x"), ("2", "y"), ("3", "z")];
        let both = [system("a", &said), system("b", &said)];
        assert_eq!(Sheet::draw("s", &both, 2, show).unwrap().pictures.len(), 2);
        let reason = |systems: &[System]| Sheet::draw("s", systems, 2, show).unwrap_err();
        assert_eq!(reason(&[]), "no model has captions");
        assert_eq!(reason(&both[..1]), "only A has captions; two models can be compared");
        assert_eq!(
            reason(&[system("a", &said[..1]), system("b", &said[1..])]),
            "the models have no image in common"
        );
        assert_eq!(reason(&[system("a", &said[..1]), system("b", &said[..1])]), "broken: no picture");
    }
}
