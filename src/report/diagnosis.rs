//! The evidence for a diagnosis, gathered from a sweep's rows.

use super::findings::Study;
use super::gather::RunData;
use super::settings::RATE;
use super::tables::RunRow;
use crate::analysis::diagnosis::{Diagnosis, Evidence, Training, diagnose};
use crate::analysis::picture_use::{Gain, surplus};
use crate::analysis::{Interval, RESAMPLES, mean_intervals};
use crate::record::audit::Finding;
use crate::record::event::Evaluated;
use crate::record::image_use::OwnAndOther;

/// Why the captions of the best run are no better; of the first run that started, where none has a result.
pub fn diagnosis(study: &Study) -> Vec<Diagnosis> {
    let started = |row: &&RunRow| row.status != "not_started";
    let subject = study.ranked().next().or_else(|| study.fine_tuned().find(started));
    subject.map_or_else(Vec::new, |row| diagnose(&evidence(study, row)))
}

fn evidence(study: &Study, row: &RunRow) -> Evidence {
    let audit = study.sweep.audit.as_ref();
    let concerns = |finding: &&Finding| finding.runs.contains(&row.run);
    let data = study.data_of(row);
    let started = |row: &&RunRow| row.status != "not_started";
    let of_images = |images: fn(&RunData) -> Option<Vec<Gain>>| {
        data.filter(|data| expects_as_it_learnt(data)).and_then(|data| surplus(&images(data)?))
    };
    let (seen_surplus, unseen_surplus) = (of_images(seen), of_images(unseen));
    Evidence {
        findings: audit
            .map_or_else(Vec::new, |audit| audit.findings.iter().filter(concerns).cloned().collect()),
        training: data.and_then(|data| training(row, &data.record.curve)),
        image_gain: data.and_then(image_gain),
        seen_gain: data.and_then(|data| mean_gain(&seen(data)?)),
        unseen_surplus,
        surplus: seen_surplus.zip(unseen_surplus).map(|(seen, unseen)| seen.and(unseen)),
        pairing: data.and_then(|data| data.diagnostics.pairing.clone()),
        unigram_nll: audit
            .and_then(|audit| Some(audit.lengths.first()?.unigram_nll))
            .filter(|nll| *nll > 0.0),
        train_images: row.origin.as_ref().map(|origin| origin.train_examples),
        runs: study.fine_tuned().filter(started).count(),
        diverged: study.fine_tuned().filter(|row| row.status == "diverged").count(),
        overfit_rise: row.val_loss_rise.filter(|_| row.overfit),
    }
}

/// With label smoothing a model is taught to expect less of everything than it could, of pictures as well.
fn expects_as_it_learnt(data: &RunData) -> bool {
    data.record.spec.recipe.training.label_smoothing == 0.0
}

fn training(row: &RunRow, curve: &[Evaluated]) -> Option<Training> {
    let trained = || curve.iter().filter(|evaluated| evaluated.epoch > 0);
    let losses: Vec<f64> = trained().filter_map(|evaluated| evaluated.train_loss).collect();
    let finite = |loss: &f64| loss.is_finite();
    Some(Training {
        learning_rate: row.settings.get(RATE)?.as_f64()?,
        steps: curve.last().map_or(0, |last| last.step),
        first_train_loss: losses.first().copied().filter(finite)?,
        middle_train_loss: losses.get(losses.len() / 2).copied().filter(finite)?,
        last_train_loss: losses.last().copied().filter(finite)?,
        lowest_val_nll: trained()
            .filter_map(|evaluated| evaluated.val_nll)
            .filter(finite)
            .min_by(f64::total_cmp)?,
        initial_val_nll: curve.iter().find(|evaluated| evaluated.epoch == 0).and_then(|at| at.val_nll),
    })
}

/// How much likelier references of validation and test images are beside their own picture than beside another.
pub fn image_gain(run: &RunData) -> Option<Interval> {
    mean_gain(&unseen(run)?)
}

/// Of images that the run was not trained on.
fn unseen(run: &RunData) -> Option<Vec<Gain>> {
    let found = run.diagnostics.image_use.as_ref()?;
    Some([gains(&found.validation), gains(&found.test)].concat())
}

/// Of observed training images.
fn seen(run: &RunData) -> Option<Vec<Gain>> {
    Some(gains(&run.diagnostics.image_use.as_ref()?.train))
}

/// An expected gain that was not recorded is no number.
fn gains(rows: &[OwnAndOther]) -> Vec<Gain> {
    let gain = |row: &OwnAndOther| Gain {
        gain: row.other - row.own,
        expected: row.expected_gain.unwrap_or(f64::NAN),
    };
    rows.iter().map(gain).collect()
}

fn mean_gain(rows: &[Gain]) -> Option<Interval> {
    let gains: Vec<[f64; 1]> = rows.iter().map(|row| [row.gain]).filter(|[gain]| gain.is_finite()).collect();
    mean_intervals(&gains, RESAMPLES, 0).map(|[gain]| gain)
}
