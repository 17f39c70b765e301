//! Case analysis: what is wrong with the captions of the best run, by kind, and images chosen by rule.

use askama::Template;
use rayon::prelude::*;

use super::card::{Card, Speaker, attributes_in_words, card, image_folder};
use crate::analysis::attributes::Named;
use crate::analysis::failures::{Captioned, Failure, failures};
use crate::analysis::lexicon::Lexicon;
use crate::analysis::{Case, CaseRule, choose_cases};
use crate::report::comparison::{ImageScores, Images, SCORE};
use crate::report::findings::{Findings, Study};
use crate::report::format::{decimals, share};
use crate::report::gather::RunData;
use crate::report::text_table::Table;

/// Images drawn by chance, besides one by each rule.
const RANDOM: usize = 4;
const SEED: u64 = 0;
/// Images shown of each kind of failure.
const OF_A_KIND: usize = 2;

#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "cases.html")]
pub struct CasesSection {
    kinds: Table,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    title: &'static str,
    /// How the images were chosen.
    rule: String,
    cards: Vec<Card>,
}

/// An image that the best run captioned.
struct Judged<'a> {
    image: &'a str,
    failure: Failure,
    named: Named,
    before: Option<f64>,
    after: f64,
}

/// The section; absent where the best run captioned no image.
pub fn cases_section(study: &Study, findings: &Findings) -> Option<CasesSection> {
    let best_run = study.data_of(findings.best?)?;
    let best = Speaker::new("fine-tuned, run #1".to_owned(), best_run, findings.images);
    let zero_shot = findings
        .zero_shot
        .and_then(|row| study.data_of(row))
        .map(|run| Speaker::new("zero-shot".to_owned(), run, findings.images));
    let others: Vec<Speaker> = study
        .others()
        .filter_map(|row| Some(Speaker::new(row.run.clone(), study.data_of(row)?, findings.images)))
        .collect();
    let speakers: Vec<&Speaker> = zero_shot.iter().chain(&others).chain([&best]).collect();
    let judged = judge(&best, zero_shot.as_ref(), best_run, &study.sweep.lexicon);
    if judged.is_empty() {
        return None;
    }
    let folder = image_folder(best_run, findings.images);
    let show = |why: &str, judged: &Judged| {
        let mut card = card(why.to_owned(), judged.image, &speakers, folder.as_deref());
        if let Some(last) = card.captions.last_mut() {
            last.notes = attributes_in_words(&judged.named);
        }
        card
    };
    let groups = [of_kinds(&judged, &show), by_score(&judged, &show, findings.images)];
    Some(CasesSection {
        kinds: kinds(&judged),
        groups: groups.into_iter().filter(|group| !group.cards.is_empty()).collect(),
    })
}

fn judge<'a>(
    best: &Speaker<'a>,
    zero_shot: Option<&Speaker>,
    run: &RunData,
    lexicon: &Lexicon,
) -> Vec<Judged<'a>> {
    let limit = run.record.spec.recipe.generation.max_length;
    let score = |scores: &ImageScores| scores[SCORE];
    let known = || {
        best.scores.iter().filter_map(|(image, scores)| Some((*image, *best.captions.get(image)?, scores)))
    };
    let captioned: Vec<Captioned> = known()
        .map(|(_, said, scores)| Captioned {
            caption: &said.caption,
            references: &said.references,
            is_cut: said.token_ids.len() >= limit,
            score: score(scores),
        })
        .collect();
    let judged = known().zip(failures(&captioned, lexicon)).map(|((image, _, scores), (failure, named))| {
        let before = zero_shot.and_then(|zero_shot| zero_shot.scores.get(image)).map(score);
        Judged { image, failure, named, before, after: score(scores) }
    });
    judged.collect()
}

/// How many captions have each fault, and what they score.
fn kinds(judged: &[Judged]) -> Table {
    let mut table =
        Table::new(&["run #1", "#images", "#share", "#mean score", "#zero-shot", "what it means"]);
    for failure in Failure::ALL {
        let of_kind: Vec<&Judged> = judged.iter().filter(|judged| judged.failure == failure).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mean =
            |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let (title, meaning) = in_words(failure);
        table.add([
            title.to_owned(),
            of_kind.len().to_string(),
            share(Some(of_kind.len() as f64 / judged.len() as f64)),
            decimals(mean(of_kind.iter().map(|judged| judged.after).collect())),
            decimals(mean(of_kind.iter().filter_map(|judged| judged.before).collect())),
            meaning.to_owned(),
        ]);
    }
    table
}

/// The worst of each kind of failure.
fn of_kinds(judged: &[Judged], show: &(impl Fn(&str, &Judged) -> Card + Sync)) -> Group {
    let mut chosen: Vec<(&str, &Judged)> = Vec::new();
    for failure in Failure::ALL.into_iter().filter(|failure| *failure != Failure::Close) {
        let mut of_kind: Vec<&Judged> = judged.iter().filter(|judged| judged.failure == failure).collect();
        of_kind.sort_by(|a, b| a.after.total_cmp(&b.after).then(a.image.cmp(b.image)));
        chosen.extend(of_kind.into_iter().take(OF_A_KIND).map(|judged| (in_words(failure).0, judged)));
    }
    Group {
        title: "The worst of each kind",
        rule: format!("By the score of run #1, the lowest {OF_A_KIND} of each kind of failure."),
        cards: chosen.par_iter().map(|(why, judged)| show(why, judged)).collect(),
    }
}

/// Images by their scores alone.
fn by_score(judged: &[Judged], show: &(impl Fn(&str, &Judged) -> Card + Sync), images: Images) -> Group {
    let scores: Vec<(f64, f64)> =
        judged.iter().map(|judged| (judged.before.unwrap_or(judged.after), judged.after)).collect();
    let cases = choose_cases(&scores, RANDOM, SEED);
    let card = |case: &Case| Some(show(name_of(case.rule), judged.get(case.index)?));
    Group {
        title: "By score",
        rule: format!(
            "Chosen by rule from the {} images, not by hand: by the score of run #1 the best, the worst and the median; \
             by its gain over zero-shot the most improved and the most harmed; and {RANDOM} at random (seed {SEED}). An \
             image's score is the mean of its METEOR, ROUGE-L and CIDEr-D, weighted as in the run's score.",
            images.name()
        ),
        cards: cases.par_iter().filter_map(card).collect(),
    }
}

fn in_words(failure: Failure) -> (&'static str, &'static str) {
    match failure {
        Failure::Empty => ("empty", "no words at all"),
        Failure::CutOff => ("cut off", "as long as generation.max_length allows, and not at its end"),
        Failure::Repeats => ("repeats itself", "a pair of words three times, and no reference does"),
        Failure::Stock => ("stock phrase", "at least 5 % of the images got the very same caption"),
        Failure::WrongAttribute => ("wrong attribute", "it names what is visible and not so"),
        Failure::MissingAttribute => {
            ("attribute left out", "nothing wrong, but something visible is not named")
        }
        Failure::OtherWords => ("other words", "attributes are right, and the score is in the lower half"),
        Failure::Close => ("close", "attributes are right, and the score is in the upper half"),
    }
}

fn name_of(rule: CaseRule) -> &'static str {
    match rule {
        CaseRule::Best => "best",
        CaseRule::Median => "median",
        CaseRule::Worst => "worst",
        CaseRule::MostImproved => "most improved",
        CaseRule::MostHarmed => "most harmed",
        CaseRule::Random => "at random",
    }
}
