//! Training captions as each epoch words them: one of an image's own or of its paraphrases, with synonyms here and there, the
//! same in a resumed run.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::Session;
use super::controls::dealt_anew;
use super::material::{Material, Pretrained, encode_caption};
use crate::data::captions::{Entry, read_captions};
use crate::data::wording::Rewording;
use crate::data::{Example, TokenBatch};
use crate::random::Random;
use crate::record::recipe::{Kind, Recipe, Training};

/// The wordings of a run's training captions.
pub struct Wordings<'a> {
    /// Of every training image, its own captions and then its paraphrases.
    captions: Vec<Vec<String>>,
    rewording: Option<Rewording>,
    seed: u64,
    recipe: &'a Recipe,
    pretrained: &'a Pretrained,
}

impl<'a> Wordings<'a> {
    /// `None` where captions are as they are.
    ///
    /// # Errors
    /// A file of paraphrases that cannot be read or has none of these images.
    pub fn of(session: &'a Session, material: &Material, pretrained: &'a Pretrained) -> Result<Option<Self>> {
        let recipe = &session.spec.recipe;
        let training = &recipe.training;
        if training.synonym_replacement == 0.0 && training.paraphrases.is_empty() {
            return Ok(None);
        }
        let mut captions = with_paraphrases(&material.dataset.train, training)?;
        if recipe.kind == Kind::ShuffledCaptions {
            captions = dealt_anew(captions, session.spec.seed)?;
        }
        let rewords = training.synonym_replacement > 0.0;
        let rewording = Rewording::new(training.synonym_replacement, &training.protected_words);
        let rewording = if rewords { Some(rewording.context("the lexicon")?) } else { None };
        Ok(Some(Self { captions, rewording, seed: session.spec.seed, recipe, pretrained }))
    }

    /// A training batch of an epoch.
    pub fn training_batch(&self, material: &Material, indices: &[usize], epoch: usize) -> Result<TokenBatch> {
        let rows: Vec<Vec<u32>> = indices
            .iter()
            .map(|index| -> Result<Vec<u32>> {
                Ok(encode_caption(&self.caption(*index, epoch), self.recipe, self.pretrained)?)
            })
            .collect::<Result<_>>()?;
        Ok(material.joined(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    }

    /// What an epoch says of an image.
    fn caption(&self, index: usize, epoch: usize) -> String {
        worded(&self.captions[index], self.rewording.as_ref(), self.seed, [epoch as u64, index as u64])
    }
}

/// One of an image's captions in the words of an epoch: `place` is epoch and image. Which of them it is is drawn as without
/// synonyms.
fn worded(captions: &[String], rewording: Option<&Rewording>, seed: u64, place: [u64; 2]) -> String {
    let caption = Random::new(seed, "caption", &place).pick(captions);
    match rewording {
        Some(rewording) => rewording.apply(caption, Random::new(seed, "synonyms", &place)),
        None => caption.clone(),
    }
}

/// The captions of each image, and those that a file has of it besides.
fn with_paraphrases(examples: &[Example], training: &Training) -> Result<Vec<Vec<String>>> {
    let own = examples.iter().map(|example| example.captions.clone()).collect::<Vec<_>>();
    if training.paraphrases.is_empty() {
        return Ok(own);
    }
    let file = read_captions(Path::new(&training.paraphrases)).context("training.paraphrases")?;
    let mut more: HashMap<String, Vec<String>> = HashMap::new();
    for Entry { image, captions } in file.entries {
        more.entry(image)
            .or_default()
            .extend(captions.into_iter().filter(|caption| !caption.trim().is_empty()));
    }
    let mut found = 0;
    let all = examples.iter().zip(own).map(|(example, own)| {
        let paraphrases = more.remove(&example.image).unwrap_or_default();
        found += usize::from(!paraphrases.is_empty());
        [own, paraphrases].concat()
    });
    let all: Vec<Vec<String>> = all.collect();
    ensure!(
        found > 0,
        "training.paraphrases: {} has none of the training images\nhint: its images have the names that they have in the training \
         captions",
        training.paraphrases
    );
    Ok(all)
}

/// What a run goes on from only where it is the same: the content of the file of paraphrases; nothing where there is none.
pub fn digest_of_paraphrases(training: &Training) -> Result<Option<String>> {
    if training.paraphrases.is_empty() {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    for Entry { image, captions } in
        read_captions(Path::new(&training.paraphrases)).context("training.paraphrases")?.entries
    {
        for text in std::iter::once(&image).chain(&captions) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update([0xff]);
    }
    Ok(Some(format!("{:x}", hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_epoch_words_a_caption_anew_and_says_the_same_again_by_the_same_seed() {
        let captions = ["The pictures show buildings and a fabric.".to_owned()];
        let rewording = Rewording::new(0.7, "").unwrap();
        let say = |seed, epoch, image| worded(&captions, Some(&rewording), seed, [epoch, image]);
        let several = |said: Vec<String>| said.into_iter().collect::<BTreeSet<String>>().len() > 3;
        assert!(several((1..20).map(|epoch| say(0, epoch, 5)).collect()), "another epoch");
        assert!(several((1..20).map(|image| say(0, 1, image)).collect()), "another image");
        assert!(several((1..20).map(|seed| say(seed, 1, 5)).collect()), "another seed");
        assert_eq!(say(3, 2, 1), say(3, 2, 1));
    }

    #[test]
    fn synonyms_change_nothing_of_which_caption_an_epoch_draws() {
        let captions: Vec<String> = (0..9).map(|number| format!("{number} pictures of buildings")).collect();
        let rewording = Rewording::new(1.0, "").unwrap();
        let mut drawn = BTreeSet::new();
        for epoch in 1..40 {
            let plain = worded(&captions, None, 0, [epoch, 5]);
            // As `Material` draws it.
            assert_eq!(&plain, Random::new(0, "caption", &[epoch, 5]).pick(&captions));
            let reworded = worded(&captions, Some(&rewording), 0, [epoch, 5]);
            assert!(reworded.starts_with(&plain[..2]) && reworded != plain, "{plain}: {reworded}");
            drawn.insert(plain);
        }
        assert!(drawn.len() > 5, "{drawn:?}");
    }
}
